"""Turns the content of one chat message into Gemini's parts; called by gemini_contents.py.

Data URLs travel inside the request, other addresses as `fileData` that Google fetches itself.
"""

import mimetypes
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from proxy.providers.translation import Document, UntranslatableError

_AUDIO_TYPES = {"mp3": "audio/mp3", "wav": "audio/wav"}
_FETCHED_SCHEMES = frozenset({"http", "https", "gs"})


def gemini_parts(content: Any, where: str) -> list[Document]:
    """Return the parts of a message's `content`; `where` names it in errors.

    Raises UntranslatableError for what Gemini cannot be sent.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    if not isinstance(content, list):
        raise untranslatable(where, "is neither a text nor a list of content parts")
    parts = []
    for index, part in enumerate(content):
        place = f"{where}[{index}]"
        if not isinstance(part, Mapping):
            raise untranslatable(place, "is not an object")
        parts.append(_part(part, place))
    return [part for part in parts if part != {"text": ""}]


def image_parts(images: Any, where: str) -> list[Document]:
    """Return the pictures of an earlier answer (`message.images`, as answers carry them)."""
    found = images if isinstance(images, list) else []
    return [
        media_part(_text_of(image.get("image_url"), "url", f"{where}[{index}]"), where)
        for index, image in enumerate(found)
        if isinstance(image, Mapping)
    ]


def _part(part: Mapping[str, Any], where: str) -> Document:
    match part.get("type"):
        case "text" | "refusal" as name:
            return {"text": _text_of(part, name, where)}
        case "image_url":
            image = part.get("image_url")
            url = image if isinstance(image, str) else _text_of(image, "url", where)
            return media_part(url, where)
        case "input_audio":
            return _audio_part(part.get("input_audio"), where)
        case "file":
            return _file_part(part.get("file"), where)
        case kind:
            raise untranslatable(where, f"has the type {str(kind)[:40]!r}, unknown to Gemini")


def _audio_part(audio: Any, where: str) -> Document:
    data = _text_of(audio, "data", where)
    kind = str(audio.get("format") or "wav")
    return _inline(_AUDIO_TYPES.get(kind, f"audio/{kind}"), data)


def _file_part(file: Any, where: str) -> Document:
    if not isinstance(file, Mapping):
        raise untranslatable(where, "has no 'file' object")
    if isinstance(file.get("file_data"), str):
        return media_part(file["file_data"], where, name=file.get("filename"))
    file_id = file.get("file_id")
    # Google names its uploaded files by address; another provider's file id means nothing there.
    if isinstance(file_id, str) and urlsplit(file_id).scheme in _FETCHED_SCHEMES:
        return media_part(file_id, where)
    raise untranslatable(where, "names a file that Google does not have")


def media_part(url: str, where: str, *, name: Any = None) -> Document:
    """Return the part for a data URL or for an address that Google fetches."""
    if url.startswith("data:"):
        return _inline_of(url, where, name)
    if url[:8].partition(":")[0].lower() not in _FETCHED_SCHEMES:
        raise untranslatable(where, "is neither a data URL nor an http(s) address")
    kind, _ = mimetypes.guess_type(url.partition("?")[0])
    return {"fileData": {"fileUri": url, **({"mimeType": kind} if kind else {})}}


def _inline_of(url: str, where: str, name: Any) -> Document:
    head, comma, data = url[5:].partition(",")
    kind, *flags = head.split(";")
    if not comma or "base64" not in flags:
        raise untranslatable(where, "is a data URL that is not base64")
    if not kind or kind == "application/octet-stream":
        guessed, _ = mimetypes.guess_type(name) if isinstance(name, str) else (None, None)
        kind = guessed or kind
    if not kind:
        raise untranslatable(where, "is a data URL without a media type")
    return _inline(kind, data)


def _inline(kind: str, data: str) -> Document:
    return {"inlineData": {"mimeType": kind, "data": data}}


def _text_of(holder: Any, name: str, where: str) -> str:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    if not isinstance(value, str):
        raise untranslatable(where, f"has no text in '{name}'")
    return value


def text_of_parts(parts: Iterable[Mapping[str, Any]]) -> str:
    """Join the texts among the parts."""
    return "".join(part["text"] for part in parts if "text" in part)


def check_depth(value: Any, where: str) -> None:
    """Raise UntranslatableError when a value is nested deeper than can be sent on as JSON."""
    try:
        orjson.dumps([[[[[[[[[[value]]]]]]]]]])  # room for what the request wraps around it
    except orjson.JSONEncodeError as error:
        raise untranslatable(where, "is nested too deeply", "Send a flatter value.") from error


def untranslatable(
    where: str,
    what: str,
    hint: str = "Gemini takes text, images, audio and files, inline as data URLs or by address.",
) -> UntranslatableError:
    """Make the error that names one place of the request and what is wrong there."""
    return UntranslatableError(f"'{where}' {what}.", hint, param=where)
