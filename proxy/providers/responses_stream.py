"""A chat stream as a stream of Responses events; made by responses_to_chat.py.

Reasoning and text are closed when something else begins; calls stay open until the end, because
the pieces of parallel calls may come in turns.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.chat_source import ChatSource, text_of
from proxy.providers.responses_answer import (
    REASONING_FIELDS,
    ended,
    frame_of,
    logprobs_in,
    stem_of,
)
from proxy.providers.responses_events import Item, ResponseEvents
from proxy.providers.translation import Document

_KINDS = {"reasoning_text": ("reasoning", "rs"), "output_text": ("message", "msg")}


class ResponsesStream:
    """One chat stream on its way to a caller of Responses."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self._asked = asked
        self._source = ChatSource()
        self._events = ResponseEvents()
        self._frame: Document = {}
        self._stem = ""
        self._open: Item | None = None
        self._calls: dict[int, Item] = {}
        self._ending: object = None
        self._is_over = False

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """Usage in chat's words, as the source told it; None before any."""
        return self._source.usage

    @property
    def is_done(self) -> bool:
        """Whether the source's end marker was seen."""
        return self._source.is_done

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes of the chat stream; return whole events, the last one included.

        Raises OversizedEventError, also when the whole answer grows too large to be repeated.
        """
        out: list[bytes] = []
        for doc in self._source.feed(chunk):
            self._read(doc, out)
        if not self._is_over and self._source.error is not None:
            self._is_over = True
            out.append(self._events.error(self._source.error))
        elif not self._is_over and self._source.is_done:
            self._is_over = True
            self._end(out)
        return b"".join(out)

    def error_event(self, message: str, code: str) -> bytes:
        """Make the event that ends a stream whose upstream broke off, numbered as the next one."""
        self._is_over = True
        return self._events.error({"message": message, "code": code})

    def _read(self, doc: Document, out: list[bytes]) -> None:
        choices = doc.get("choices")
        if not self._frame and (doc.get("id") or choices):
            self._begin(doc, out)
        if isinstance(doc.get("service_tier"), str) and self._frame:
            self._frame["service_tier"] = doc["service_tier"]
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                self._read_choice(choice, out)

    def _begin(self, doc: Document, out: list[bytes]) -> None:
        self._frame = frame_of(doc, self._asked)
        self._stem = stem_of(doc.get("id"))
        out.append(self._events.event("response.created", response=self._frame))
        out.append(self._events.event("response.in_progress", response=self._frame))

    def _read_choice(self, choice: Document, out: list[bytes]) -> None:
        given = choice.get("delta")
        delta = given if isinstance(given, dict) else {}
        thought = next((t for name in REASONING_FIELDS if (t := text_of(delta.get(name)))), "")
        if thought:
            self._say("reasoning_text", thought, [], out)
        text = text_of(delta.get("content"))
        if text:
            self._say("output_text", text, logprobs_in(choice), out)
        refused = text_of(delta.get("refusal"))
        if refused:
            self._say("refusal", refused, [], out)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._read_call(call, out)
        self._ending = choice.get("finish_reason") or self._ending

    def _say(self, kind: str, text: str, logprobs: list[Document], out: list[bytes]) -> None:
        item_kind, short = _KINDS.get(kind, _KINDS["output_text"])
        item = self._open
        if item is None or item.kind != item_kind:
            self._close_open(out)
            name = f"{short}_{self._stem}_{len(self._events.items)}"
            item, added = self._events.open_item(name, item_kind, {})
            self._open = item
            out.append(added)
        out.append(self._events.say(item, kind, text, logprobs))

    def _close_open(self, out: list[bytes]) -> None:
        if self._open is not None:
            out.append(self._events.close(self._open))
            self._open = None

    def _read_call(self, call: Document, out: list[bytes]) -> None:
        custom = call.get("custom")
        is_custom = isinstance(custom, dict) or call.get("type") == "custom"
        given = custom if is_custom else call.get("function")
        inner = given if isinstance(given, dict) else {}
        name = text_of(inner.get("name"))
        item = self._call_item(call, is_custom=is_custom, name=name, out=out)
        if name and not item.head["name"]:
            item.head["name"] = name
        text = text_of(inner.get("input" if item.kind == "custom_tool_call" else "arguments"))
        if text:
            out.append(self._events.say(item, item.kind, text, []))

    def _call_item(self, call: Document, *, is_custom: bool, name: str, out: list[bytes]) -> Item:
        """The item this piece belongs to: the one of its index, unless it has another id."""
        given = call.get("index")
        index = given if type(given) is int else max(len(self._calls) - 1, 0)
        known, call_id = self._calls.get(index), text_of(call.get("id"))
        if known is not None and call_id in ("", known.head["call_id"]):
            return known
        self._close_open(out)
        suffix = f"{self._stem}_{len(self._events.items)}"
        kind, short = ("custom_tool_call", "ctc") if is_custom else ("function_call", "fc")
        head = {"call_id": call_id or f"call_{suffix}", "name": name}
        item, added = self._events.open_item(f"{short}_{suffix}", kind, head)
        self._calls[index] = item
        out.append(added)
        return item

    def _end(self, out: list[bytes]) -> None:
        if not self._frame:
            self._begin({}, out)
        if not self._events.items:
            _, added = self._events.open_item(f"msg_{self._stem}_0", "message", {})
            out.append(added)
        last = ended(self._frame, self._ending, self._source.usage)
        out += [self._events.close(item, last["status"]) for item in self._events.items]
        last["output"] = [item.document() for item in self._events.items]
        out.append(self._events.event(f"response.{last['status']}", response=last))
