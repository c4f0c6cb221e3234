"""Streams: chunks of a chat completion to Anthropic's events. Made by messages_translator.py.

Usage comes last in a chat stream, so message_start has zeros and message_delta the whole of it:
Anthropic's counts are running totals, and its clients keep the last.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.providers.anthropic_errors import error_of_kind, to_messages_error
from proxy.providers.anthropic_usage import NO_USAGE, messages_usage
from proxy.providers.messages_answer import citations_of, stop_reason_of, thought_text
from proxy.providers.messages_checks import text_or_empty
from proxy.providers.translation import Document
from proxy.streaming.framing import EventFramer, data_of, split_events

DONE = b"[DONE]"
STARTS: dict[str, Document] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


def event_of(doc: Document) -> bytes:
    """Write one event the way Anthropic does."""
    return b"event: %b\ndata: %b\n\n" % (doc["type"].encode(), orjson.dumps(doc))


class ChunksToMessages:
    """One stream; `usage` is the chat stream's own."""

    def __init__(self) -> None:
        self.usage: Mapping[str, Any] | None = None
        self.is_done = False
        self._has_failed = False
        self._has_started = False
        self._framer = EventFramer()
        self._blocks = 0
        self._kind = ""  # of the open block, "" for none
        self._block_of_call: dict[int, int] = {}
        self._stop_reason: str | None = None
        self._is_refusal = False
        self._tier: object = None

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes of a chat stream; return whole events of Anthropic's."""
        whole = self._framer.feed(chunk)
        if not whole:
            return b""
        return b"".join([self._read(event) for event in split_events(whole)])

    def _read(self, event: bytes) -> bytes:
        data = data_of(event)
        if not data or self.is_done or self._has_failed:
            return b""
        if data.startswith(DONE):
            return self._end()
        try:
            doc = orjson.loads(data)
        except orjson.JSONDecodeError:
            return b""
        if not isinstance(doc, dict):
            return b""
        if doc.get("error"):
            return self._fail(doc)
        return self._chunk(doc)

    def _fail(self, doc: Document) -> bytes:
        self._has_failed = True
        return event_of(to_messages_error(doc) or error_of_kind("api_error", "Unknown error."))

    def _chunk(self, doc: Document) -> bytes:
        self._tier = doc.get("service_tier") or self._tier
        if isinstance(doc.get("usage"), dict):
            self.usage = doc["usage"]
        choices = doc.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index", 0) != 0:
            return b""
        out = b"" if self._has_started else self._start(doc)
        delta = choice.get("delta")
        out += self._delta(delta) if isinstance(delta, dict) else b""
        reason = stop_reason_of(choice.get("finish_reason"), is_refusal=self._is_refusal)
        self._stop_reason = reason or self._stop_reason
        return out

    def _start(self, doc: Mapping[str, Any]) -> bytes:
        self._has_started = True
        message: Document = {
            "id": text_or_empty(doc.get("id")),
            "type": "message",
            "role": "assistant",
            "model": text_or_empty(doc.get("model")),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": dict(NO_USAGE),
        }
        return event_of({"type": "message_start", "message": message})

    def _delta(self, delta: Document) -> bytes:
        out = self._thoughts(delta)
        for name in ("content", "refusal"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                self._is_refusal = self._is_refusal or name == "refusal"
                out += self._piece("text", {"type": "text_delta", "text": text})
        annotations = delta.get("annotations")
        if isinstance(annotations, list) and annotations:
            out += self._cite(annotations)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            out += self._call(call) if isinstance(call, dict) else b""
        return out

    def _thoughts(self, delta: Document) -> bytes:
        """Say thoughts, their signatures, and the blocks of those that stay secret."""
        text = thought_text(delta)
        out = self._piece("thinking", {"type": "thinking_delta", "thinking": text}) if text else b""
        blocks = delta.get("thinking_blocks")
        for block in blocks if isinstance(blocks, list) else ():
            if not isinstance(block, dict):
                continue
            if isinstance(block.get("signature"), str) and block["signature"]:
                piece = {"type": "signature_delta", "signature": block["signature"]}
                out += self._piece("thinking", piece) + self._close()
            elif block.get("type") == "redacted_thinking":
                start = {"type": "redacted_thinking", "data": text_or_empty(block.get("data"))}
                out += self._open("redacted_thinking", start) + self._close()
        return out

    def _cite(self, annotations: list[Any]) -> bytes:
        if self._kind != "text":
            return b""
        whole = [annotation for annotation in annotations if isinstance(annotation, dict)]
        pieces = [
            self._piece("text", {"type": "citations_delta", "citation": citation})
            for citation in citations_of(whole, "")
        ]
        return b"".join(pieces)

    def _call(self, call: Document) -> bytes:
        index = call.get("index")
        index = index if isinstance(index, int) else len(self._block_of_call)
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        out = b""
        if index not in self._block_of_call:
            self._block_of_call[index] = self._blocks
            name, call_id = text_or_empty(function.get("name")), text_or_empty(call.get("id"))
            start: Document = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
            out = self._open("tool_use", start)
        arguments = function.get("arguments")
        if isinstance(arguments, str) and arguments:
            delta = {"type": "input_json_delta", "partial_json": arguments}
            # Calls may take turns: a late piece still names the block it belongs to.
            out += self._block_delta(self._block_of_call[index], delta)
        return out

    def _piece(self, kind: str, delta: Document) -> bytes:
        """Say a piece of text or thought, in a new block unless one of its kind is open."""
        opening = b"" if self._kind == kind else self._open(kind, STARTS[kind])
        return opening + self._block_delta(self._blocks - 1, delta)

    def _block_delta(self, index: int, delta: Document) -> bytes:
        return event_of({"type": "content_block_delta", "index": index, "delta": delta})

    def _open(self, kind: str, start: Document) -> bytes:
        closing = self._close()
        self._kind = kind
        index, self._blocks = self._blocks, self._blocks + 1
        opening = {"type": "content_block_start", "index": index, "content_block": start}
        return closing + event_of(opening)

    def _close(self) -> bytes:
        if not self._kind:
            return b""
        self._kind = ""
        return event_of({"type": "content_block_stop", "index": self._blocks - 1})

    def _end(self) -> bytes:
        self.is_done = True
        out = b"" if self._has_started else self._start({})
        usage = messages_usage(self.usage, self._tier)
        usage.pop("service_tier", None)  # which Anthropic tells in message_start only
        delta = {"stop_reason": self._stop_reason, "stop_sequence": None}
        ending: Document = {"type": "message_delta", "delta": delta, "usage": usage}
        return out + self._close() + event_of(ending) + event_of({"type": "message_stop"})
