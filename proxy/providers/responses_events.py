"""Writes the events of a Responses stream: numbers, items, parts; used by responses_stream.py.

The order is OpenAI's: an item is added, its part is added, deltas, then each is done. What was
said is kept, because the done events and the last one repeat it whole.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.providers.responses_answer import message_item, reasoning_item, text_part
from proxy.providers.translation import Document
from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError

_ITEM_COST_BYTES = 512
# A kind of text: its events' stem, and the field of its done event (and of its part) that says it.
_TEXT_EVENTS = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "reasoning_text": ("response.reasoning_text", "text"),
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}


@dataclass(slots=True)
class Part:
    """One run of text: a part of a message or of reasoning, or the arguments of a call."""

    kind: str
    place: dict[str, Any]  # item_id, output_index and, for parts of content, content_index
    pieces: list[str] = field(default_factory=list)
    logprobs: list[Document] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def document(self) -> Document:
        if self.kind == "output_text":
            return text_part(self.text, self.logprobs)
        return {"type": self.kind, _TEXT_EVENTS[self.kind][1]: self.text}


@dataclass(slots=True)
class Item:
    """One output item. `head` is a call's identity; parts of a call are its arguments."""

    index: int
    name: str
    kind: str
    head: Document
    parts: list[Part] = field(default_factory=list)
    is_closed: bool = False
    status: str = "in_progress"

    def document(self) -> Document:
        if self.kind == "message":
            return message_item(self.name, [part.document() for part in self.parts], self.status)
        text = "".join(part.text for part in self.parts)
        if self.kind == "reasoning":
            said = reasoning_item(self.name, text) | {"status": self.status}
            return said if self.parts else said | {"content": []}
        said_as = _TEXT_EVENTS[self.kind][1]
        head = {"id": self.name, "type": self.kind, "status": self.status, **self.head}
        return head | {said_as: text}


class ResponseEvents:
    """The events of one Response, numbered; `items` is its output so far."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._next_number = 0
        self._size_bytes = 0

    def event(self, kind: str, **fields: Any) -> bytes:
        """Frame one event; each has the next sequence number."""
        document = {"type": kind, "sequence_number": self._next_number, **fields}
        self._next_number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(document))

    def error(self, error: Document) -> bytes:
        """The event that ends a stream that failed."""
        said = {name: error.get(name) for name in ("code", "message", "param")}
        return self.event("error", **said)

    def open_item(self, name: str, kind: str, head: Document) -> tuple[Item, bytes]:
        item = Item(len(self.items), name, kind, head)
        self._grow(_ITEM_COST_BYTES)
        self.items.append(item)
        added = self.event(
            "response.output_item.added", output_index=item.index, item=item.document()
        )
        if kind in _TEXT_EVENTS:
            item.parts.append(Part(kind, {"item_id": name, "output_index": item.index}))
        return item, added

    def say(self, item: Item, kind: str, text: str, logprobs: list[Document]) -> bytes:
        """Add text of a kind to an item, in a new part where the last is of another kind.

        Raises OversizedEventError when the answer grows beyond what one event may be.
        """
        opening = b""
        if not item.parts or item.parts[-1].kind != kind:
            opening = self._end_part(item) + self._open_part(item, kind)
        part = item.parts[-1]
        self._grow(len(text))
        part.pieces.append(text)
        part.logprobs += logprobs
        extra = {"logprobs": logprobs} if kind == "output_text" else {}
        stem, _ = _TEXT_EVENTS[kind]
        return opening + self.event(f"{stem}.delta", **part.place, delta=text, **extra)

    def close(self, item: Item, status: str = "completed") -> bytes:
        """End an item: its last part, then itself. Once only."""
        if item.is_closed:
            return b""
        item.is_closed, item.status = True, status
        ending = self._end_part(item)
        return ending + self.event(
            "response.output_item.done", output_index=item.index, item=item.document()
        )

    def _open_part(self, item: Item, kind: str) -> bytes:
        place = {"item_id": item.name, "output_index": item.index, "content_index": len(item.parts)}
        part = Part(kind, place)
        item.parts.append(part)
        self._grow(_ITEM_COST_BYTES)
        return self.event("response.content_part.added", **place, part=part.document())

    def _end_part(self, item: Item) -> bytes:
        if not item.parts:
            return b""
        part = item.parts[-1]
        stem, said_as = _TEXT_EVENTS[part.kind]
        extra: Document = {"logprobs": part.logprobs} if part.kind == "output_text" else {}
        if part.kind == "function_call":
            extra = {"name": item.head["name"]}
        done = self.event(f"{stem}.done", **part.place, **{said_as: part.text}, **extra)
        if "content_index" not in part.place:
            return done
        return done + self.event("response.content_part.done", **part.place, part=part.document())

    def _grow(self, size: int) -> None:
        self._size_bytes += size
        if self._size_bytes > LARGEST_EVENT_BYTES:
            raise OversizedEventError(f"answer larger than {LARGEST_EVENT_BYTES} bytes")
