"""Streams of litellm's providers as chat chunks; made by litellm_door.py with a parser.

The source is lines of JSON, bare or as `data:` of server-sent events; each goes through litellm's
own parser for that provider, and comes out with one id, one model and its usage at the end.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from proxy.providers.litellm_kinds import error_of
from proxy.providers.translation import Document
from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError

DONE = b"[DONE]"
DONE_EVENT = b"data: [DONE]\n\n"
# A provider's event -> the chunk it amounts to, as a plain document.
ParseEvent = Callable[[Document], Document]


class LinesToChunks:
    """One stream. `usage` is what litellm reads out of it, in OpenAI's words.

    `raw_usage` is the provider's own. `last_event` is the type of the event that ends the stream;
    "" when [DONE] does.
    """

    def __init__(
        self, parse: ParseEvent, head: Mapping[str, Any], *, last_event: str, has_usage: bool
    ) -> None:
        self.usage: Mapping[str, Any] | None = None
        self.raw_usage: Mapping[str, Any] | None = None
        self.is_done = False
        self._has_failed = False
        self._has_role = False
        self._parse = parse
        self._head = {**head, "object": "chat.completion.chunk"}
        self._last_event = last_event
        self._has_usage = has_usage
        self._held = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes, cut anywhere; return whole chat events.

        OversizedEventError when one line is larger than any event may be.
        """
        searched = len(self._held)
        self._held += chunk
        cut = self._held.rfind(b"\n", searched) + 1
        lines = bytes(self._held[:cut])
        del self._held[:cut]
        if len(self._held) > LARGEST_EVENT_BYTES:
            raise OversizedEventError(f"event larger than {LARGEST_EVENT_BYTES} bytes")
        written: list[bytes] = []
        for line in lines.splitlines():
            if self.is_done or self._has_failed:
                break
            written.append(self._read_line(line.strip()))
        return b"".join(written)

    def _read_line(self, line: bytes) -> bytes:
        data = line.removeprefix(b"data:").strip()
        if data == DONE:
            return self._end()
        if not data.startswith(b"{"):
            return b""  # names of events, comments, blank lines
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            return self._fail({"message": "The provider sent an event that is no JSON."})
        if event.get("error"):
            return self._fail(event)
        return self._read_event(event)

    def _read_event(self, event: Document) -> bytes:
        self._note_raw_usage(event)
        try:
            chunk = self._parse(event)
        except Exception as error:  # noqa: BLE001 a vendor's parser raises what it likes
            text = f"The provider sent an event that cannot be read: {type(error).__name__}."
            return self._fail({"message": text})
        usage = chunk.get("usage")
        if self.raw_usage is not None:
            # Where the provider speaks OpenAI's words, nothing of them is to be lost.
            is_openais = "prompt_tokens" in self.raw_usage
            self.usage = self.raw_usage if is_openais else usage or self.usage
        written = b"".join(self._choice(each) for each in chunk.get("choices") or ())
        is_last = self._last_event and event.get("type") == self._last_event
        return written + self._end() if is_last else written

    def _note_raw_usage(self, event: Document) -> None:
        delta = event.get("delta")
        for holder in (event, delta if isinstance(delta, dict) else {}):
            if isinstance(holder.get("usage"), dict):
                self.raw_usage = holder["usage"]

    def _choice(self, choice: Document) -> bytes:
        delta = {
            name: value
            for name, value in (choice.get("delta") or {}).items()
            if value is not None and name != "role"
        }
        reason = choice.get("finish_reason")
        if not delta and reason is None and self._has_role:
            return b""
        if not self._has_role:
            delta = {"role": "assistant", **delta}
            self._has_role = True
        fields = {
            "index": choice.get("index") or 0,
            "delta": delta,
            "logprobs": choice.get("logprobs"),
            "finish_reason": reason,
        }
        return self._event([fields], None)

    def _event(self, choices: list[Document], usage: Mapping[str, Any] | None) -> bytes:
        chunk: Document = {**self._head, "choices": choices}
        if self._has_usage:
            chunk["usage"] = usage
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def _end(self) -> bytes:
        self.is_done = True
        if self._has_usage and self.usage is not None:
            return self._event([], self.usage) + DONE_EVENT
        return DONE_EVENT

    def _fail(self, document: Document) -> bytes:
        self._has_failed = True
        error = error_of(document) or error_of({"message": "The provider gave no message."})
        return b"data: " + orjson.dumps(error) + b"\n\n"
