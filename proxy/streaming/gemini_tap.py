"""Reads a native Gemini stream on the side while its bytes pass; the twin of tap.py for Google's.

For callers of `:streamGenerateContent?alt=sse` whose request is relayed as it is. Google sends no
end marker: a stream has ended properly when its bytes end and every candidate gave its reason. So
the newest event that may be the last is held back, and goes on when another follows it.
"""

from typing import Any

import orjson

from proxy.streaming.framing import EventFramer, data_of, split_events
from proxy.streaming.unreadable import UNREADABLE, is_unreadable

_MOST_CANDIDATES = 128
_NOT_ENDED = "FINISH_REASON_UNSPECIFIED"
_TIERS = {"standard": "default"}  # other tiers have the same name everywhere


class GeminiTap:
    """The state of one stream as seen so far; `usage` is Google's usageMetadata."""

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
        self._candidates: set[int] = set()
        self._is_blocked = False

    @property
    def kept_stream(self) -> bytes | None:
        """The whole stream as the upstream sent it; None when it did not fit or was not wanted."""
        return b"".join(self.kept) if self.is_done and self._room_bytes > 0 else None

    def feed(self, chunk: bytes) -> bytes:
        """Take in a chunk and return what may go to the caller now; nothing after an error.

        Raises OversizedEventError.
        """
        whole = self._framer.feed(chunk)
        if not whole or self._has_failed():
            return b""
        passed: list[bytes] = []
        for event in split_events(whole):
            self._keep(event)
            passed.append(self._pass(event))
            if self._has_failed():
                break
        return b"".join(passed)

    def finish(self) -> bytes:
        """The upstream ended: read an unterminated last event, and see whether it was the end."""
        passed = b""
        rest = self._framer.pending
        if _is_document(data_of(rest + b"\n\n")):
            passed = self.feed(b"\n" if rest.endswith(b"\n") else b"\n\n")
        self.is_done = not self._has_failed() and self._may_be_over()
        return passed

    def _keep(self, event: bytes) -> None:
        if self._room_bytes <= 0:
            return
        self._room_bytes -= len(event)
        if self._room_bytes > 0:
            self.kept.append(event)
        else:
            self.kept.clear()

    def _pass(self, event: bytes) -> bytes:
        """Learn from one event; return what was held before it, and the event unless it is held."""
        data = data_of(event)
        if not data:
            return event  # a comment may overtake what is held
        self._read(data)
        if self._has_failed():
            # The answer was not over: what was held goes out, the error in its place.
            before, self.held = self.held, b"" if self.error is UNREADABLE else event
            return before
        before, self.held = self.held, b""
        if self._may_be_over():
            self.held = event
            return before
        return before + event

    def _has_failed(self) -> bool:
        return self.error is not None

    def _may_be_over(self) -> bool:
        return self._is_blocked or (
            bool(self._candidates) and len(self.finish_reasons) == len(self._candidates)
        )

    def _read(self, data: bytes) -> None:
        try:
            doc = orjson.loads(data)
        except orjson.JSONDecodeError:
            if is_unreadable(data):
                self.error = UNREADABLE
            return
        if not isinstance(doc, dict):
            return
        self.has_events = True
        if doc.get("error"):
            error = doc["error"]
            self.error = error if isinstance(error, dict) else {"message": str(error)}
            return
        self._learn(doc)

    def _learn(self, doc: dict[str, Any]) -> None:
        if isinstance(doc.get("modelVersion"), str):
            self.model = doc["modelVersion"]
        usage = doc.get("usageMetadata")
        if isinstance(usage, dict) and usage:
            self.usage = {**(self.usage or {}), **usage}
            tier = usage.get("serviceTier")
            if isinstance(tier, str):
                self.service_tier = _TIERS.get(tier.lower(), tier.lower())
        feedback = doc.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self._is_blocked = True
            self.finish_reasons.setdefault(0, str(feedback["blockReason"]))
            self._candidates.add(0)
        candidates = doc.get("candidates")
        for place, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if isinstance(candidate, dict) and place < _MOST_CANDIDATES:
                self._learn_candidate(candidate, place)

    def _learn_candidate(self, candidate: dict[str, Any], place: int) -> None:
        index = candidate.get("index")
        index = index if isinstance(index, int) else place
        if not 0 <= index < _MOST_CANDIDATES:
            return
        self._candidates.add(index)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason not in {"", _NOT_ENDED}:
            self.finish_reasons[index] = reason


def _is_document(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False
