"""Content parts of chat messages as blocks of Anthropic's; called by anthropic_turns.py."""

import base64
import binascii
import re
from typing import Any

from proxy.providers.messages_checks import as_object, objects, refused, text_field
from proxy.providers.translation import Document

DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,", re.ASCII)
TEXT_FILES = frozenset({"text/plain", "text/markdown", "text/csv"})
PDF = "application/pdf"


def blocks_of(content: Any, where: str) -> list[Document]:
    """Return the blocks of a message's content; empty texts, which Anthropic refuses, are none."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    blocks = [_block(part, place) for place, part in objects(content, where)]
    return [block for block in blocks if block.get("text") != ""]


def _block(part: dict[str, Any], where: str) -> Document:
    match part.get("type"):
        case "text" | "refusal" as name:
            block: Document = {"type": "text", "text": text_field(part, name, where)}
        case "image_url":
            block = {"type": "image", "source": _image_source(part, f"{where}.image_url")}
        case "file":
            block = _document(as_object(part.get("file"), f"{where}.file"), f"{where}.file")
        case kind:
            hint = "Anthropic's models take text, images, PDFs and plain text files."
            raise refused(where, f"of type {str(kind)[:40]!r} cannot be sent to Anthropic", hint)
    return _with_cache_control(block, part)


def _with_cache_control(block: Document, part: dict[str, Any]) -> Document:
    if part.get("cache_control") is not None:
        block["cache_control"] = part["cache_control"]
    return block


def _image_source(part: dict[str, Any], where: str) -> Document:
    image = part.get("image_url")
    url = image if isinstance(image, str) else text_field(as_object(image, where), "url", where)
    if url.startswith("https://"):
        return {"type": "url", "url": url}
    media_type, data = _split_data_url(url, where)
    return {"type": "base64", "media_type": media_type, "data": data}


def _split_data_url(url: str, where: str) -> tuple[str, str]:
    match = DATA_URL.match(url)
    if match is None:
        hint = "Send an https URL or a base64 data URL (data:image/png;base64,...)."
        raise refused(where, "is neither an https URL nor a base64 data URL", hint)
    return match[1], url[match.end() :]


def _document(file: dict[str, Any], where: str) -> Document:
    if file.get("file_data") is None:
        hint = "Send the file itself as file_data: ids of files are known to one provider only."
        raise refused(f"{where}.file_id", "cannot be sent to Anthropic", hint)
    media_type, data = _split_data_url(text_field(file, "file_data", where), where)
    if media_type == PDF:
        source = {"type": "base64", "media_type": PDF, "data": data}
    elif media_type in TEXT_FILES:
        source = {"type": "text", "media_type": "text/plain", "data": _decode(data, where)}
    else:
        raise refused(where, f"of type {media_type!r} cannot be sent", "Send a PDF or plain text.")
    block: Document = {"type": "document", "source": source}
    if isinstance(file.get("filename"), str):
        block["title"] = file["filename"]
    return block


def _decode(data: str, where: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise refused(where, "is not base64 of UTF-8 text", "Encode the text again.") from error
