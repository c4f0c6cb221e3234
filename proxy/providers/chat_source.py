"""Reads a chat stream piece by piece for a translation out of chat; used by *_stream.py here.

It knows framing, the end marker, errors and usage; what the chunks mean is the translator's.
"""

from typing import Any

import orjson

from proxy.streaming.framing import EventFramer, data_of, split_events

_DONE = b"[DONE]"


class ChatSource:
    """A chat stream as seen so far."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] | None = None
        self.is_done = False
        self.error: dict[str, Any] | None = None
        self._framer = EventFramer()

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """Take in bytes; return the chunks they complete. Nothing follows the end or an error.

        Raises OversizedEventError.
        """
        chunks: list[dict[str, Any]] = []
        whole = self._framer.feed(chunk)
        for event in split_events(whole) if whole else ():
            if self.is_done or self.error is not None:
                break
            doc = self._read(event)
            if doc is not None:
                chunks.append(doc)
        return chunks

    def _read(self, event: bytes) -> dict[str, Any] | None:
        data = data_of(event)
        if data.startswith(_DONE):
            self.is_done = True
            return None
        try:
            doc = orjson.loads(data) if data else None
        except orjson.JSONDecodeError:
            return None
        if not isinstance(doc, dict):
            return None
        if doc.get("error"):
            self.error = error_fields(doc["error"])
            return None
        usage = doc.get("usage")
        if isinstance(usage, dict) and usage:
            self.usage = (self.usage or {}) | usage
        return doc


def error_fields(error: object) -> dict[str, Any]:
    """OpenAI's four fields of an error, whatever form it came in."""
    given = error if isinstance(error, dict) else {"message": str(error)}
    named = {name: given.get(name) for name in ("message", "type", "param", "code")}
    named["message"] = str(named["message"] or "The upstream reported an error.")
    named["type"] = str(named["type"] or "server_error")
    return named


def error_of_chat(document: object) -> dict[str, Any] | None:
    """{"error": {...}} of an error document of chat; None when it is none."""
    error = document.get("error") if isinstance(document, dict) else None
    return {"error": error_fields(error)} if error else None


def text_of(content: object) -> str:
    """The text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))
