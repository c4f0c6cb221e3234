"""Content parts of chat messages as Converse's content blocks; called by bedrock_turns.py.

Pictures and documents go as bytes: Bedrock fetches no addresses, and neither do we.
"""

import re
from collections.abc import Mapping
from typing import Any

from proxy.providers.bedrock_checks import as_object, objects, refused, text_field
from proxy.providers.translation import Document

DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,", re.ASCII)
IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
LONGEST_NAME = 200
# A document's name may hold letters, digits, single blanks, hyphens, parentheses and brackets.
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9()\[\]-]+")
TTLS = frozenset({"5m", "1h"})


def blocks_of(content: Any, where: str) -> list[Document]:
    """Return the blocks of a message's content; empty texts, which Bedrock refuses, are none.

    A part marked with `cache_control` is followed by a cache point.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    blocks: list[Document] = []
    for place, part in objects(content, where):
        block = _block(part, place)
        if block.get("text") != "":
            blocks.append(block)
            blocks += cache_points(part)
    return blocks


def cache_points(marked: Mapping[str, Any]) -> list[Document]:
    """Return the cache point that `cache_control` of a part, message or tool asks for."""
    control = marked.get("cache_control")
    if not isinstance(control, dict):
        return []
    point = {"type": "default"}
    ttl = control.get("ttl")
    if isinstance(ttl, str) and ttl in TTLS:
        point["ttl"] = ttl
    return [{"cachePoint": point}]


def _block(part: Document, where: str) -> Document:
    match part.get("type"):
        case "text" | "refusal" as name:
            return {"text": text_field(part, name, where)}
        case "image_url":
            return _image(part.get("image_url"), f"{where}.image_url")
        case "file":
            return _document(as_object(part.get("file"), f"{where}.file"), f"{where}.file")
        case kind:
            hint = "Bedrock's chat models take text, images and documents."
            raise refused(where, f"of type {str(kind)[:40]!r} cannot be sent to Bedrock", hint)


def _image(image: Any, where: str) -> Document:
    url = image if isinstance(image, str) else text_field(as_object(image, where), "url", where)
    media_type, data = _split_data_url(url, where)
    if media_type not in IMAGE_FORMATS:
        raise refused(where, "is no PNG, JPEG, GIF or WebP", "Convert the picture.")
    return {"image": {"format": IMAGE_FORMATS[media_type], "source": {"bytes": data}}}


def _document(file: Document, where: str) -> Document:
    if file.get("file_data") is None:
        hint = "Send the file itself as file_data: ids of files are known to one provider only."
        raise refused(f"{where}.file_id", "cannot be sent to Bedrock", hint)
    media_type, data = _split_data_url(text_field(file, "file_data", where), where)
    if media_type not in DOCUMENT_FORMATS:
        hint = "Send PDF, text, Markdown, HTML, CSV, Word or Excel."
        raise refused(where, f"of type {media_type!r} cannot be sent to Bedrock", hint)
    name = file.get("filename")
    return {
        "document": {
            "format": DOCUMENT_FORMATS[media_type],
            "name": document_name(name if isinstance(name, str) else ""),
            "source": {"bytes": data},
        }
    }


def document_name(filename: str) -> str:
    """Return a name Bedrock accepts; other characters become blanks."""
    stem = filename.rpartition(".")[0] or filename
    return NOT_IN_NAMES.sub(" ", stem).strip()[:LONGEST_NAME].strip() or "document"


def _split_data_url(url: str, where: str) -> tuple[str, str]:
    """Return the media type and the base64 text, which is what the JSON of Bedrock carries."""
    match = DATA_URL.match(url)
    if match is None:
        hint = "Bedrock fetches no addresses: send a base64 data URL (data:image/png;base64,...)."
        raise refused(where, "is not a base64 data URL", hint)
    return match[1].lower(), url[match.end() :]
