"""Reads a chat stream on the side while its bytes pass: usage, model, endings, errors.

Called by proxy.stream_reply for every chunk. The bytes that go on to the caller are the upstream's
own. Two things are changed: a usage chunk the caller did not ask for is left out, and the end
marker, or an error, is held back, so that the END record is written before the caller can know how
it ended. Every event is parsed: that costs a microsecond, searching it for marks cost ten.
"""

from typing import Any

import orjson

from proxy.streaming.assemble import index_of
from proxy.streaming.framing import EventFramer, data_of, split_events
from proxy.streaming.unreadable import UNREADABLE, is_unreadable

DONE = b"[DONE]"


class ChatStreamTap:
    """The state of one stream as seen so far."""

    def __init__(self, *, strips_usage: bool, keeps_bytes_limit: int) -> None:
        self.usage: dict[str, Any] | None = None
        self.model = ""
        self.service_tier = ""
        self.finish_reasons: dict[int, str] = {}
        self.error: dict[str, Any] | None = None
        self.is_done = False
        self.has_events = False
        self.held = b""
        self.object_ids: tuple[str, ...] = ()  # chunks name nothing the provider keeps,
        self.next_number = 0
        self.units: dict[str, int] = {}  # and nothing that is billed by the piece
        self.kept: list[bytes] = []
        self._framer = EventFramer()
        self._strips_usage = strips_usage
        self._room_bytes = keeps_bytes_limit

    @property
    def kept_stream(self) -> bytes | None:
        """The whole stream as the upstream sent it; None when it did not fit or was not wanted."""
        return b"".join(self.kept) if self.is_done and self._room_bytes > 0 else None

    def feed(self, chunk: bytes) -> bytes:
        """Take in a chunk and return what may go to the caller now; nothing after the end."""
        if self._is_plain(chunk):
            return chunk
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

    def _is_plain(self, chunk: bytes) -> bool:
        """Whether a chunk is one event with a piece of one answer, as nearly all are.

        It passes at half the price: nothing in it has to be noted.
        """
        end = len(chunk) - 2
        if chunk.find(b"\n") != end or chunk[:6] != b"data: " or b"\r" in chunk:
            return False
        if not self.has_events or self._has_ended() or self._framer.is_holding:
            return False
        try:
            doc = orjson.loads(chunk[6:end])
            [choice] = doc["choices"]
            is_plain: bool = (
                choice["finish_reason"] is None
                and doc["model"] == self.model
                and doc.get("usage") is None
                and doc.get("error") is None
                and doc.get("service_tier") in (None, self.service_tier)
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return False  # not for this lane: what it is, the other one finds out
        if is_plain and self._room_bytes > 0:
            self._keep(chunk)
        return is_plain

    def _has_ended(self) -> bool:
        return self.is_done or self.error is not None

    def finish(self) -> bytes:
        """The upstream ended: treat an unterminated last event as whole if it is [DONE]."""
        rest = self._framer.pending
        if data_of(rest + b"\n\n").strip() == DONE:
            return self.feed(b"\n\n")
        return b""

    def _keep(self, whole: bytes) -> None:
        if self._room_bytes <= 0:
            return
        self._room_bytes -= len(whole)
        if self._room_bytes > 0:
            self.kept.append(whole)
        else:
            self.kept.clear()

    def _read_event(self, event: bytes) -> bytes:
        """Learn from one event; return it, or b"" when it is held back or left out."""
        data = data_of(event)
        if data.startswith(DONE):
            self.is_done = True
            self.held = event
            return b""
        if not data:
            return event
        return self._read_document(event, data)

    def _read_document(self, event: bytes, data: bytes) -> bytes:
        try:
            doc = orjson.loads(data)
        except orjson.JSONDecodeError:
            if not is_unreadable(data):
                return event
            self.error = UNREADABLE  # nothing is held: the event itself must not go out
            return b""
        if not isinstance(doc, dict):
            return event
        self.has_events = True
        if doc.get("error"):
            error = doc["error"]
            self.error = error if isinstance(error, dict) else {"message": str(error)}
            self.held = event
            return b""
        return b"" if self._learn(doc) and self._strips_usage else event

    def _learn(self, doc: dict[str, Any]) -> bool:
        """Note what the chunk says; True when it is the chunk that only carries usage."""
        if isinstance(doc.get("model"), str):
            self.model = doc["model"]
        if isinstance(doc.get("service_tier"), str):
            self.service_tier = doc["service_tier"]
        choices = doc.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._note_ending(choice)
        usage = doc.get("usage")
        if not isinstance(usage, dict):
            return False
        self.usage = usage or self.usage
        return not choices

    def _note_ending(self, choice: dict[str, Any]) -> None:
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self.finish_reasons[index_of(choice)] = reason
