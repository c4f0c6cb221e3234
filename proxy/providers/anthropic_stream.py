"""Streams: Anthropic's events to chunks of a chat completion. Made by anthropic_translator.py.

Each event is parsed once and answered at once; what all chunks share is written once, as bytes.
Unknown events and pings pass nothing on.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from proxy.providers.anthropic_answer import (
    finish_reason_of,
    refusal_text,
    tool_call,
    url_citation,
)
from proxy.providers.anthropic_errors import to_chat_error
from proxy.providers.anthropic_usage import TIERS_UP, chat_usage, merge_usage
from proxy.providers.messages_checks import text_or_empty
from proxy.streaming.framing import EventFramer, split_events
from proxy.streaming.messages_tap import payload_of

DONE_EVENT = b"data: [DONE]\n\n"
UNKNOWN_ERROR = {"type": "error", "error": {"type": "api_error", "message": "Unknown error."}}
Event = dict[str, Any]


def _dump(arguments: Event) -> str:
    """Write arguments that came whole; those nested too deep to be written are left out."""
    try:
        return orjson.dumps(arguments).decode()
    except orjson.JSONEncodeError:
        return ""


class _Block:
    """The content block that is open."""

    __slots__ = ("annotations", "call", "has_arguments", "is_schema", "kind", "start", "thinking")

    def __init__(self, kind: object, start: int, thinking: int) -> None:
        self.kind = kind
        self.start = start  # where its text begins in the content
        self.thinking = thinking  # its place among the thinking blocks
        self.call = -1  # its place among the tool calls
        self.has_arguments = False
        self.is_schema = False
        self.annotations: list[Event] = []


class MessagesToChunks:
    """One stream; `usage` is Anthropic's own, merged over its events."""

    def __init__(self, *, has_usage: bool, schema_tool: str, created_s: int) -> None:
        self.usage: Mapping[str, Any] | None = None
        self.is_done = False
        self._has_failed = False
        self._has_usage = has_usage
        self._schema_tool = schema_tool
        self._created_s = created_s
        self._framer = EventFramer()
        self._head = b""
        self._tail = b',"usage":null}\n\n' if has_usage else b"}\n\n"
        self._block = _Block(None, 0, 0)
        self._characters = 0
        self._calls = 0
        self._thoughts = 0
        self._write_head({})
        self._readers: dict[str, Callable[[Event], bytes]] = {
            "message_start": self._start,
            "content_block_start": self._open,
            "content_block_delta": self._delta,
            "content_block_stop": self._close,
            "message_delta": self._finish,
            "message_stop": self._stop,
            "error": self._fail,
        }

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes of Anthropic's stream; return whole events of a chat stream."""
        whole = self._framer.feed(chunk)
        if not whole:
            return b""
        return b"".join([self._read(event) for event in split_events(whole)])

    def _read(self, event: bytes) -> bytes:
        data = payload_of(event)
        if not data or self.is_done or self._has_failed:
            return b""
        try:
            doc = orjson.loads(data)
        except orjson.JSONDecodeError:
            return b""
        kind = doc.get("type") if isinstance(doc, dict) else None
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        return b"" if reader is None else reader(doc)

    def _write_head(self, message: Mapping[str, Any]) -> None:
        shared: Event = {
            "id": text_or_empty(message.get("id")),
            "object": "chat.completion.chunk",
            "created": self._created_s,
            "model": text_or_empty(message.get("model")),
        }
        tier = (self.usage or {}).get("service_tier")
        if isinstance(tier, str):
            shared["service_tier"] = TIERS_UP.get(tier, tier)
        self._head = b"data: " + orjson.dumps(shared)[:-1]

    def _chunk(self, delta: Event, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return b'%b,"choices":[%b]%b' % (self._head, orjson.dumps(choice), self._tail)

    def _start(self, event: Event) -> bytes:
        message = event.get("message")
        message = message if isinstance(message, dict) else {}
        self.usage = merge_usage(self.usage, message.get("usage"))
        self._write_head(message)
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _open(self, event: Event) -> bytes:
        content = event.get("content_block")
        content = content if isinstance(content, dict) else {}
        kind = content.get("type")
        block = self._block = _Block(kind, self._characters, self._thoughts)
        if kind == "text":
            return self._text(content.get("text"))
        if kind == "thinking":
            self._thoughts += 1
            return self._thought(content.get("thinking"))
        if kind == "redacted_thinking":
            self._thoughts += 1
            return self._thinking_piece(kind, "data", content.get("data"))
        return self._open_call(block, content) if kind == "tool_use" else b""

    def _open_call(self, block: _Block, content: Event) -> bytes:
        block.is_schema = bool(self._schema_tool) and content.get("name") == self._schema_tool
        arguments = content.get("input")
        whole = _dump(arguments) if isinstance(arguments, dict) and arguments else ""
        first = b""
        if not block.is_schema:
            block.call = self._calls
            self._calls += 1
            call = {"index": block.call, **tool_call(content.get("id"), content.get("name"), "")}
            first = self._chunk({"tool_calls": [call]})
        return first + self._arguments(whole)

    def _delta(self, event: Event) -> bytes:
        delta = event.get("delta")
        if not isinstance(delta, dict):
            return b""
        match delta.get("type"):
            case "text_delta":
                return self._text(delta.get("text"))
            case "input_json_delta":
                return self._arguments(delta.get("partial_json"))
            case "thinking_delta":
                return self._thought(delta.get("thinking"))
            case "signature_delta":
                return self._thinking_piece("thinking", "signature", delta.get("signature"))
            case "citations_delta":
                self._cite(delta.get("citation"))
        return b""

    def _text(self, text: object) -> bytes:
        if not isinstance(text, str) or not text:
            return b""
        self._characters += len(text)
        return self._content(text)

    def _content(self, text: str) -> bytes:
        return (
            b'%b,"choices":[{"index":0,"delta":{"content":%b},"logprobs":null,"finish_reason":null}]%b'
            % (self._head, orjson.dumps(text), self._tail)
        )

    def _arguments(self, piece: object) -> bytes:
        block = self._block
        if not isinstance(piece, str) or not piece:
            return b""
        block.has_arguments = True
        if block.is_schema:
            return self._content(piece)
        if block.call < 0:
            return b""  # a tool that Anthropic runs itself
        return self._chunk(
            {"tool_calls": [{"index": block.call, "function": {"arguments": piece}}]}
        )

    def _thought(self, text: object) -> bytes:
        if not isinstance(text, str) or not text:
            return b""
        piece = {"index": self._block.thinking, "type": "thinking", "thinking": text}
        return self._chunk({"reasoning_content": text, "thinking_blocks": [piece]})

    def _thinking_piece(self, kind: str, name: str, value: object) -> bytes:
        if not isinstance(value, str) or not value:
            return b""
        piece = {"index": self._block.thinking, "type": kind, name: value}
        return self._chunk({"thinking_blocks": [piece]})

    def _cite(self, citation: object) -> None:
        """Keep a citation until its block ends: only then is known which text it is for."""
        annotation = url_citation(citation, self._block.start, 0)
        if annotation is not None:
            self._block.annotations.append(annotation)

    def _close(self, _: Event) -> bytes:
        block, self._block = self._block, _Block(None, self._characters, self._thoughts)
        if block.annotations:
            for annotation in block.annotations:
                annotation["url_citation"]["end_index"] = self._characters
            return self._chunk({"annotations": block.annotations})
        if block.kind == "tool_use" and not block.has_arguments:
            self._block = block
            return self._arguments("{}")  # no arguments are an empty object, not no JSON at all
        return b""

    def _finish(self, event: Event) -> bytes:
        self.usage = merge_usage(self.usage, event.get("usage"))
        delta = event.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        reason = delta.get("stop_reason")
        if not isinstance(reason, str):
            return b""
        refusal = refusal_text(delta.get("stop_details"))
        word = finish_reason_of(reason, has_schema_tool=bool(self._schema_tool))
        return self._chunk({} if refusal is None else {"refusal": refusal}, word)

    def _stop(self, _: Event) -> bytes:
        self.is_done = True
        usage = chat_usage(self.usage) if self._has_usage else None
        if usage is None:
            return DONE_EVENT
        return b'%b,"choices":[],"usage":%b}\n\n%b' % (self._head, orjson.dumps(usage), DONE_EVENT)

    def _fail(self, event: Event) -> bytes:
        self._has_failed = True
        error = to_chat_error(event) or to_chat_error(UNKNOWN_ERROR)
        return b"data: %b\n\n" % orjson.dumps(error)
