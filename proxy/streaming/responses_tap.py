"""Reads a native Responses stream on the side while its bytes pass; proxy.stream_reply's tap.

What ChatStreamTap is for chat. The last event (completed, incomplete, cancelled, failed or error)
is held back, so that END is written before the caller can know how it ended. Ids of objects that
the provider keeps are known before the bytes that name them are returned. Deltas are nine events
in ten and are told by their first bytes; everything else is parsed.
"""

import re
from typing import Any

import orjson

from proxy.streaming.framing import EventFramer, data_of, split_events
from proxy.streaming.responses_reading import (
    ObjectIds,
    ending_of,
    read_response_document,
    responses_units,
)
from proxy.streaming.unreadable import UNREADABLE, is_unreadable

DONE = b"[DONE]"
_DELTAS = (
    "response.output_text.delta",
    "response.function_call_arguments.delta",
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
    "response.refusal.delta",
    "response.custom_tool_call_input.delta",
    "response.audio.delta",
    "response.code_interpreter_call_code.delta",
    "response.image_generation_call.partial_image",
)
# Both lines must say so, the second in the very form OpenAI writes: any other form is parsed.
_DELTA_STARTS = tuple(
    start + b'data: {"type":"%b",' % name.encode()
    for name in _DELTAS
    for start in (b"event: %b\n" % name.encode(), b"")
)
_MOST_COUNTED_ITEMS = 4096
_FAILURES = ("response.failed", "error")
_NUMBER = re.compile(rb'"sequence_number": ?(\d{1,15})\b')
_ENDS = ("response.completed", "response.incomplete", "response.cancelled")


class ResponsesTap:
    """The state of one stream as seen so far; the fields are ChatStreamTap's, and a few more."""

    def __init__(self, *, keeps_bytes_limit: int) -> None:
        self.usage: dict[str, Any] | None = None
        self.model = ""
        self.service_tier = ""
        self.finish_reasons: dict[int, str] = {}
        self.error: dict[str, Any] | None = None
        self.is_done = False
        self.has_events = False
        self.held = b""
        self.kept: list[bytes] = []
        self.response_id = ""
        self.is_background = False
        # The last whole `response` seen: after the end it is the stream's twin as a document.
        self.document: dict[str, Any] = {}
        self._ids = ObjectIds()
        self._done_items: list[Any] = []
        self._last = b""
        self._framer = EventFramer()
        self._room_bytes = keeps_bytes_limit

    @property
    def object_ids(self) -> dict[str, str]:
        """Kinds by id: response, conversation, container or item. Grows as events arrive."""
        return self._ids.kinds

    @property
    def units(self) -> dict[str, int]:
        """What is billed by the piece, by unit; of a stream cut off, what had been done by then."""
        said = responses_units(self.document)
        return said or responses_units({"output": self._done_items})

    @property
    def kept_stream(self) -> bytes | None:
        """The whole stream as the upstream sent it; None when it did not fit or was not wanted."""
        return b"".join(self.kept) if self.is_done and self._room_bytes > 0 else None

    def feed(self, chunk: bytes) -> bytes:
        """Take in a chunk and return what may go to the caller now; nothing after the end."""
        whole = self._framer.feed(chunk)
        if not whole or self._has_ended():
            return b""
        passed: list[bytes] = []
        for event in split_events(whole):
            self._keep(event)
            if event.startswith(_DELTA_STARTS):
                self.has_events = True
                self._last = event
                passed.append(event)
                continue
            passed.append(self._read_event(event))
            if self._has_ended():
                break
        return b"".join(passed)

    def finish(self) -> bytes:
        """The upstream ended: treat an unterminated last event as whole if it is an end."""
        rest = self._framer.pending
        return self.feed(b"\n\n") if rest and _is_whole_end(rest) else b""

    @property
    def next_number(self) -> int:
        """The number of the event that would come next."""
        said = _NUMBER.search(self._last)
        return int(said[1]) + 1 if said else 0

    def _has_ended(self) -> bool:
        return self.is_done or self.error is not None

    def _keep(self, event: bytes) -> None:
        if self._room_bytes <= 0:
            return
        self._room_bytes -= len(event)
        if self._room_bytes > 0:
            self.kept.append(event)
        else:
            self.kept.clear()

    def _read_event(self, event: bytes) -> bytes:
        """Learn from one event; return it, or b"" when it is held back or left out."""
        data = data_of(event)
        if data.startswith(DONE):
            return b""  # no end of this dialect: passed on, it would make a cut look clean
        doc = _object_of(data)
        if doc is None:
            if not is_unreadable(data):
                return event
            self.error = UNREADABLE  # nothing is held: the event itself must not go out
            return b""
        self.has_events = True
        self._last = event
        kind = doc.get("type")
        self._learn(kind, doc)
        if kind in _FAILURES or doc.get("error"):
            self.error = _error_of(doc)
        elif kind in _ENDS:
            self.is_done = True
        else:
            return event
        self.held = event
        return b""

    def _learn(self, kind: object, doc: dict[str, Any]) -> None:
        response = doc.get("response")
        if isinstance(response, dict):
            self._learn_response(response)
        elif kind in ("response.output_item.done", "response.output_item.added"):
            item = doc.get("item")
            self._ids.add_item(item, is_kept=self.document.get("store") is not False)
            has_room = len(self._done_items) < _MOST_COUNTED_ITEMS
            if kind == "response.output_item.done" and has_room:
                self._done_items.append(_slim(item))
        if kind in _ENDS or kind == "response.failed":
            self.finish_reasons = {0: ending_of(self.document, str(kind))}

    def _learn_response(self, response: dict[str, Any]) -> None:
        reading = read_response_document(response)
        self.document = response
        self.usage = reading.usage or self.usage
        self.model = reading.model or self.model
        self.service_tier = reading.service_tier or self.service_tier
        self._ids.add_response(response)
        self.response_id = self._ids.response_id or self.response_id
        self.is_background = response.get("background") is True


def _object_of(data: bytes) -> dict[str, Any] | None:
    try:
        doc = orjson.loads(data) if data else None
    except orjson.JSONDecodeError:
        return None
    return doc if isinstance(doc, dict) else None


def _is_whole_end(rest: bytes) -> bool:
    doc = _object_of(data_of(rest + b"\n\n"))
    return doc is not None and doc.get("type") in (*_ENDS, *_FAILURES)


def _slim(item: object) -> object:
    """Keep of an item only what is counted: its text may be megabytes."""
    if not isinstance(item, dict):
        return None
    return {name: item.get(name) for name in ("type", "action", "container_id")}


def _error_of(doc: dict[str, Any]) -> dict[str, Any]:
    """The error object, wherever this event carries it."""
    response = doc.get("response")
    error = response.get("error") if isinstance(response, dict) else doc.get("error")
    if isinstance(error, dict):
        return error
    if error:
        return {"message": str(error)}
    said: dict[str, Any] = {name: doc[name] for name in ("code", "message", "param") if name in doc}
    return said or {"message": "The upstream's response failed."}
