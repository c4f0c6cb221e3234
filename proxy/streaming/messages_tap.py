"""Reads a relayed stream of Anthropic's Messages on the side: usage, model, ending, errors.

Called by proxy.stream_reply like the tap of chat streams (tap.py). Every byte that goes on is the
upstream's own. Only message_stop, or an error, is held back, so that the END record is written
before the caller can know how it ended.
"""

from typing import Any

import orjson

from proxy.streaming.framing import EventFramer, data_of, split_events
from proxy.streaming.unreadable import UNREADABLE, is_unreadable

STOP = "message_stop"


def payload_of(event: bytes) -> bytes:
    """Return an event's data; fast for the form `event: NAME`, `data: JSON` that is the usual."""
    at = event.find(b"\ndata: ")
    if at > 0 and event.find(b"\n", at + 1) == len(event) - 2 and b"\r" not in event:
        return event[at + 7 : -2] if event.startswith(b"event:") else data_of(event)
    return data_of(event)


class MessagesTap:
    """The state of one stream as seen so far; `usage` is merged over message_start and _delta."""

    def __init__(self, *, keeps_bytes_limit: int) -> None:
        self.usage: dict[str, Any] | None = None
        self.model = ""
        self.service_tier = ""
        self.finish_reasons: dict[int, str] = {}
        self.error: dict[str, Any] | None = None
        self.is_done = False
        self.has_events = False
        self.held = b""
        self.object_ids: tuple[str, ...] = ()
        self.next_number = 0
        self.units: dict[str, int] = {}
        self.kept: list[bytes] = []
        self._framer = EventFramer()
        self._room_bytes = keeps_bytes_limit

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
            passed.append(self._read_event(event))
            if self._has_ended():
                break
        return b"".join(passed)

    def finish(self) -> bytes:
        """The upstream ended: treat an unterminated last event as whole if it is the stop."""
        rest = self._framer.pending
        doc = _parse(data_of(rest + b"\n\n"))
        return self.feed(b"\n\n") if doc.get("type") == STOP else b""

    def _has_ended(self) -> bool:
        return self.is_done or self.error is not None

    def _keep(self, whole: bytes) -> None:
        if self._room_bytes <= 0:
            return
        self._room_bytes -= len(whole)
        if self._room_bytes > 0:
            self.kept.append(whole)
        else:
            self.kept.clear()

    def _read_event(self, event: bytes) -> bytes:
        """Learn from one event; return it, or b"" when it is held back."""
        data = payload_of(event)
        doc = _parse(data)
        if not doc:
            if not is_unreadable(data):
                return event
            self.error = UNREADABLE  # nothing is held: the event itself must not go out
            return b""
        self.has_events = True
        match doc.get("type"):
            case "message_start":
                self._learn_start(doc.get("message"))
            case "message_delta":
                self._learn_delta(doc)
            case "message_stop":
                self.is_done = True
                self.held = event
                return b""
            case "error":
                return self._hold_error(doc, event)
        return event

    def _hold_error(self, doc: dict[str, Any], event: bytes) -> bytes:
        error = doc.get("error")
        self.error = error if isinstance(error, dict) and error else {"message": str(error)}
        self.held = event
        return b""

    def _learn_start(self, message: object) -> None:
        if not isinstance(message, dict):
            return
        if isinstance(message.get("model"), str):
            self.model = message["model"]
        self._learn_usage(message.get("usage"))

    def _learn_delta(self, doc: dict[str, Any]) -> None:
        self._learn_usage(doc.get("usage"))
        delta = doc.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        if isinstance(reason, str) and reason:
            self.finish_reasons[0] = reason

    def _learn_usage(self, usage: object) -> None:
        """Later counts replace earlier ones: they are running totals."""
        if not isinstance(usage, dict):
            return
        said = {name: value for name, value in usage.items() if value is not None}
        self.usage = {**(self.usage or {}), **said}
        if isinstance(said.get("service_tier"), str):
            self.service_tier = said["service_tier"]


def _parse(data: bytes) -> dict[str, Any]:
    """Return the document, an empty one for what is none."""
    if not data:
        return {}
    try:
        doc = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return doc if isinstance(doc, dict) else {}
