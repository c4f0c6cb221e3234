"""Turns Gemini's stream into chat chunks, event by event; made by gemini_translators.py.

Google sends no end marker: the stream has ended when every candidate asked for gave its reason and
the tokens were counted then or later, or when the prompt was blocked. Then the finish, the usage
and [DONE] go out at once. What comes after that is only read for its usage.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.gemini_answer import envelope
from proxy.providers.gemini_candidates import (
    block_reason,
    carried,
    finish_reason,
    index_of,
    read_logprobs,
    read_parts,
    refusal_text,
)
from proxy.providers.gemini_errors import chat_error
from proxy.providers.gemini_usage import chat_usage, service_tier
from proxy.providers.translation import Document
from proxy.streaming.framing import EventFramer, data_of, split_events

_DONE = b"data: [DONE]\n\n"
_MOST_CANDIDATES = 128  # as many as a chat request may ask for


class GeminiToChatStream:
    """The state of one stream: which candidates began, called and ended."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.is_done = False
        self._asked = asked
        self._usage: Document | None = None
        self._framer = EventFramer()
        self._head: Document = {}
        self._calls: dict[int, int] = {}  # calls so far, of every candidate that has begun
        self._endings: dict[int, Document] = {}  # the last chunk's choice, held until the end
        self._has_failed = False
        self._is_counted = False  # by the event at hand
        count = asked.get("n")
        self._wanted = count if isinstance(count, int) and count > 0 else 1
        options = asked.get("stream_options")
        self._tells_usage = isinstance(options, Mapping) and options.get("include_usage") is True

    @property
    def usage(self) -> Document | None:
        """Google's usageMetadata, the newest of every count; None before any."""
        return self._usage

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes of Gemini's stream; return whole chat events.

        Raises OversizedEventError.
        """
        whole = self._framer.feed(chunk)
        if not whole or self._has_failed:
            return b""
        out: list[bytes] = []
        for event in split_events(whole):
            data = data_of(event)
            if data and not self._has_failed:
                out += self._read_event(data)
        return b"".join(out)

    def _read_event(self, data: bytes) -> list[bytes]:
        try:
            return self._translate(orjson.loads(data))
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            return self._fail(None)

    def _translate(self, document: Any) -> list[bytes]:
        if not isinstance(document, dict) or "error" in document:
            return self._fail(document)
        self._count(document.get("usageMetadata"))
        if self.is_done:
            return []
        if not self._head:
            self._head = envelope(document, self._asked, "chat.completion.chunk")
        out = [self._event([choice]) for choice in self._choices(document)]
        return out + self._end(block_reason(document))

    def _fail(self, document: Any) -> list[bytes]:
        """Say one error event; nothing follows it."""
        self._has_failed = True
        error = chat_error(document)
        if error is None:
            message = "The provider sent an event that is neither an answer nor an error."
            fields = {"message": message, "type": "server_error", "param": None}
            error = {"error": {**fields, "code": "upstream_invalid_event"}}
        return [] if self.is_done else [b"data: %b\n\n" % orjson.dumps(error)]

    def _count(self, metadata: Any) -> None:
        self._is_counted = isinstance(metadata, dict) and bool(metadata)
        if self._is_counted:
            self._usage = {**(self._usage or {}), **metadata}
            tier = service_tier(metadata)
            if tier and self._head:
                self._head["service_tier"] = tier

    def _choices(self, document: Document) -> list[Document]:
        candidates = document.get("candidates")
        found = []
        for place, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if isinstance(candidate, dict):
                index = index_of(candidate, place)
                if 0 <= index < _MOST_CANDIDATES:
                    found += self._read_candidate(candidate, index)
        return found

    def _read_candidate(self, candidate: Document, index: int) -> list[Document]:
        """Return the chunk choices of one candidate now, and keep its ending for later."""
        is_first = index not in self._calls
        before = self._calls.get(index, 0)
        delta = read_parts(candidate, f"{self._head['id']}/{index}", before)
        calls = delta.get("tool_calls", [])
        self._calls[index] = before + len(calls)
        for number, call in enumerate(calls, before):
            call["index"] = number
        if is_first:
            delta = {"role": "assistant", "content": None if calls else "", **delta}
        ending = finish_reason(candidate, has_calls=self._calls[index] > 0)
        if ending is not None:
            self._endings[index] = _choice(index, {}, None, ending) | carried(candidate)
        logprobs = read_logprobs(candidate)
        return [_choice(index, delta, logprobs, None)] if delta or logprobs else []

    def _end(self, blocked: Document | None) -> list[bytes]:
        """Return the last events once the end is known, and nothing before."""
        opening = []
        if blocked is not None:
            opening = [self._event([choice]) for choice in self._block(blocked)]
        elif len(self._endings) < self._wanted or not self._is_counted:
            return []
        self.is_done = True
        out = opening + [self._event([self._endings[index]]) for index in sorted(self._endings)]
        usage = chat_usage(self._usage) if self._tells_usage else None
        if usage is not None:
            out.append(self._frame({**self._head, "choices": [], "usage": usage}))
        return [*out, _DONE]

    def _block(self, feedback: Document) -> list[Document]:
        """End every candidate that has not; a prompt blocked at once has one that says why."""
        opening = []
        if not self._calls:
            self._calls[0] = 0
            delta = {"role": "assistant", "content": None, "refusal": refusal_text(feedback)}
            opening.append(_choice(0, delta, None, None))
        extra = {"extra_content": {"google": {"promptFeedback": feedback}}}
        for index in self._calls.keys() - self._endings.keys():
            self._endings[index] = _choice(index, {}, None, "content_filter") | extra
        return opening

    def _event(self, choices: list[Document]) -> bytes:
        chunk = {**self._head, "choices": choices}
        if self._tells_usage:
            chunk["usage"] = None
        return self._frame(chunk)

    def _frame(self, chunk: Document) -> bytes:
        return b"data: %b\n\n" % orjson.dumps(chunk)


def _choice(index: int, delta: Document, logprobs: Document | None, ending: str | None) -> Document:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": ending}
