"""Anthropic's content blocks as content parts of chat messages; called by messages_turns.py."""

import base64
from typing import Any

from proxy.providers.messages_checks import as_object, objects, refused, text_field
from proxy.providers.translation import Document

HINT = "Send text, images (base64 or URL) and PDFs or plain text as base64 or text."
Parts = list[Document]


def parts_of(content: Any, where: str) -> Parts:
    """Return the parts of a message's content."""
    if content is None:
        return []
    if isinstance(content, str):
        return [text_part(content)]
    return [part_of(block, place) for place, block in objects(content, where)]


def text_part(text: str) -> Document:
    return {"type": "text", "text": text}


def simplest(parts: Parts) -> str | Parts:
    """A lone text goes as a string: every server takes that."""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def part_of(block: dict[str, Any], where: str) -> Document:
    match block.get("type"):
        case "text":
            return text_part(text_field(block, "text", where))
        case "image":
            source = as_object(block.get("source"), f"{where}.source")
            return {"type": "image_url", "image_url": {"url": _url_of(source, f"{where}.source")}}
        case "document":
            return _document_part(block, where)
        case "search_result":
            return _search_result(block, where)
        case kind:
            raise refused(where, f"of type {str(kind)[:40]!r} cannot be sent to this model", HINT)


def _url_of(source: dict[str, Any], where: str) -> str:
    if source.get("type") == "url":
        return text_field(source, "url", where)
    if source.get("type") != "base64":
        raise refused(where, "must be base64 or a URL", "Ids of files are known to one provider.")
    media_type = text_field(source, "media_type", where)
    return f"data:{media_type};base64,{text_field(source, 'data', where)}"


def _document_part(block: dict[str, Any], where: str) -> Document:
    source = as_object(block.get("source"), f"{where}.source")
    title = block.get("title")
    name = title if isinstance(title, str) and title else "document"
    match source.get("type"):
        case "base64":
            file = {"filename": name, "file_data": _url_of(source, f"{where}.source")}
        case "text":
            text = text_field(source, "data", f"{where}.source").encode()
            data = base64.b64encode(text).decode()
            file = {"filename": name, "file_data": f"data:text/plain;base64,{data}"}
        case _:
            raise refused(f"{where}.source", "must hold the document itself", HINT)
    return {"type": "file", "file": file}


def _search_result(block: dict[str, Any], where: str) -> Document:
    texts = [part["text"] for part in parts_of(block.get("content"), f"{where}.content")]
    head = [str(block[name]) for name in ("title", "source") if isinstance(block.get(name), str)]
    return text_part("\n".join([*head, *texts]))
