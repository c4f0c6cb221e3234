"""Streams: ConverseStream's binary events to chunks of a chat completion. Made by bedrock.py.

The last event, `metadata`, carries the usage; only after it is the stream at its proper end.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from proxy.providers.bedrock_answer import (
    chat_usage,
    error_of,
    finish_reason_of,
    served_tier,
    tool_call,
)
from proxy.providers.translation import Document
from proxy.streaming.aws_event_stream import CorruptStreamError, EventStreamDecoder, Message

DONE_EVENT = b"data: [DONE]\n\n"


class ConverseToChunks:
    """One stream; `usage` is Converse's own. What is open is known by its block's index."""

    def __init__(self, head: Mapping[str, Any], *, has_usage: bool) -> None:
        self.usage: Mapping[str, Any] | None = None
        self.is_done = False
        self._has_failed = False
        self._has_usage = has_usage
        self._head = {**head, "object": "chat.completion.chunk"}
        self._decoder = EventStreamDecoder()
        self._calls: dict[int, int] = {}  # block -> place among the tool calls
        self._thoughts: dict[int, int] = {}  # block -> place among the thinking blocks
        self._calls_without_input: set[int] = set()
        self._readers: dict[str, Callable[[Document], bytes]] = {
            "messageStart": self._start,
            "contentBlockStart": self._start_block,
            "contentBlockDelta": self._read_delta,
            "contentBlockStop": self._stop_block,
            "messageStop": self._stop,
            "metadata": self._end,
        }

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes of the event stream; return whole chat events.

        OversizedEventError when one message is larger than any may be; damaged bytes become an
        error event.
        """
        if self._has_ended():
            return b""
        try:
            messages = self._decoder.feed(chunk)
        except CorruptStreamError as error:
            return self._fail("", f"The provider's stream is damaged: {error}.")
        written: list[bytes] = []
        for message in messages:
            written.append(self._read(message))
            if self._has_ended():
                break
        return b"".join(written)

    def _has_ended(self) -> bool:
        return self.is_done or self._has_failed

    def _read(self, message: Message) -> bytes:
        try:
            event = orjson.loads(message.payload or b"{}")
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict):
            return self._fail("", "The provider sent an event that is no JSON object.")
        headers = message.headers
        if headers.get(":message-type", "event") != "event":
            name = headers.get(":exception-type") or headers.get(":error-code") or ""
            text = event.get("message") or headers.get(":error-message")
            return self._fail(name, str(text or "The provider gave no message."))
        reader = self._readers.get(headers.get(":event-type", ""))
        return reader(event) if reader else b""

    def _fail(self, name: str, message: str) -> bytes:
        self._has_failed = True
        return b"data: " + orjson.dumps(error_of(name, message)) + b"\n\n"

    def _start(self, event: Document) -> bytes:
        return self._chunk({"role": str(event.get("role") or "assistant"), "content": ""})

    def _start_block(self, event: Document) -> bytes:
        start = event.get("start")
        use = start.get("toolUse") if isinstance(start, dict) else None
        if not isinstance(use, dict):
            return b""
        block, place = _block_of(event), len(self._calls)
        self._calls[block] = place
        self._calls_without_input.add(block)
        return self._chunk({"tool_calls": [{"index": place, **tool_call(use, "")}]})

    def _read_delta(self, event: Document) -> bytes:
        delta = event.get("delta")
        if not isinstance(delta, dict):
            return b""
        if isinstance(delta.get("text"), str):
            return self._chunk({"content": delta["text"]})
        if isinstance(delta.get("toolUse"), dict):
            return self._arguments(_block_of(event), delta["toolUse"].get("input"))
        if isinstance(delta.get("reasoningContent"), dict):
            return self._thought(_block_of(event), delta["reasoningContent"])
        return b""

    def _arguments(self, block: int, text: Any) -> bytes:
        if not isinstance(text, str) or not text or block not in self._calls:
            return b""
        self._calls_without_input.discard(block)
        place = self._calls[block]
        return self._chunk({"tool_calls": [{"index": place, "function": {"arguments": text}}]})

    def _thought(self, block: int, content: Document) -> bytes:
        """Pieces of thoughts carry their place: official clients join lists by `index`."""
        delta: Document = {}
        piece: Document = {"index": self._thoughts.setdefault(block, len(self._thoughts))}
        if isinstance(content.get("text"), str):
            piece |= {"type": "thinking", "thinking": content["text"]}
            delta["reasoning_content"] = content["text"]
        elif content.get("signature"):
            piece |= {"type": "thinking", "thinking": "", "signature": content["signature"]}
        elif content.get("redactedContent"):
            piece |= {"type": "redacted_thinking", "data": content["redactedContent"]}
        else:
            return b""
        return self._chunk({**delta, "thinking_blocks": [piece]})

    def _stop_block(self, event: Document) -> bytes:
        """Calls without arguments still need them as JSON."""
        block = _block_of(event)
        return self._arguments(block, "{}") if block in self._calls_without_input else b""

    def _stop(self, event: Document) -> bytes:
        return self._chunk({}, finish_reason_of(event.get("stopReason")))

    def _end(self, event: Document) -> bytes:
        usage = event.get("usage")
        self.usage = usage if isinstance(usage, dict) else None
        self.is_done = True
        self._head |= served_tier(event)
        ours = chat_usage(usage)
        if not self._has_usage or ours is None:
            return DONE_EVENT
        return _event({**self._head, "choices": [], "usage": ours}) + DONE_EVENT

    def _chunk(self, delta: Document, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk: Document = {**self._head, "choices": [choice]}
        if self._has_usage:
            chunk["usage"] = None
        return _event(chunk)


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _block_of(event: Mapping[str, Any]) -> int:
    index = event.get("contentBlockIndex")
    return index if isinstance(index, int) else 0
