"""The objects callers leave at the mock (files, batches, vector stores, ...), by API key.

One account per key, as at a real provider: whoever has the key sees everything made with it.
In memory and bounded: the objects made first leave first. Made by state.py.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import choice
from string import ascii_letters, digits
from typing import Any

from config.clock import Clock
from proxy.providers.mock.errors import MockError, wrong_value

MAX_OBJECTS = 10_000
MAX_CONTENT_BYTES = 64 * 1024 * 1024
MAX_PAGE = 100
_ID_CHARACTERS = ascii_letters + digits

Document = dict[str, Any]


def new_id(prefix: str, length: int = 24) -> str:
    return prefix + "".join(choice(_ID_CHARACTERS) for _ in range(length))


@dataclass(slots=True)
class Stored:
    """One object: what callers see of it, its bytes, and what only the mock needs to know."""

    document: Document
    content: bytes = b""
    notes: Document = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.document["id"])


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects of a kind stand: an account, and for nested ones their parent's id."""

    account: bytes
    kind: str
    parent: str = ""


class Shelf:
    """Every object of every account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_place: dict[Place, OrderedDict[str, Stored]] = {}
        self._order: OrderedDict[tuple[Place, str], int] = OrderedDict()  # -> content bytes
        self._content_bytes = 0

    def now_s(self) -> int:
        return int(self._clock.now())

    def put(self, place: Place, stored: Stored) -> Stored:
        """Keep an object; the oldest make room. MockError 413 when its content never fits."""
        size_bytes = len(stored.content)
        if size_bytes > MAX_CONTENT_BYTES:
            raise MockError("The content is larger than all this server keeps.", status=413)
        self._discard(place, stored.id)
        while self._order and (
            len(self._order) >= MAX_OBJECTS or self._content_bytes + size_bytes > MAX_CONTENT_BYTES
        ):
            self._discard(*next(iter(self._order)))
        self._by_place.setdefault(place, OrderedDict())[stored.id] = stored
        self._order[place, stored.id] = size_bytes
        self._content_bytes += size_bytes
        return stored

    def get(self, place: Place, object_id: str) -> Stored:
        """Return the object; MockError 404 when this account has none of that id."""
        shelf = self._by_place.get(place)
        stored = shelf.get(object_id) if shelf else None
        if stored is None:
            kind = place.kind.replace("_", " ")
            message = f"No {kind} found with id '{object_id}'."
            raise MockError(message, status=404, param="id", code="not_found")
        return stored

    def remove(self, place: Place, object_id: str) -> Stored:
        stored = self.get(place, object_id)
        self._discard(place, object_id)
        return stored

    def all(self, place: Place) -> list[Stored]:
        """Return the objects of a place, the oldest first."""
        return list(self._by_place.get(place, OrderedDict()).values())

    def empty(self, place: Place) -> None:
        for stored in self.all(place):
            self._discard(place, stored.id)

    def _discard(self, place: Place, object_id: str) -> None:
        size_bytes = self._order.pop((place, object_id), None)
        if size_bytes is None:
            return
        self._content_bytes -= size_bytes
        shelf = self._by_place[place]
        del shelf[object_id]
        if not shelf:
            del self._by_place[place]


def page_of(documents: list[Document], query: Mapping[str, str]) -> Document:
    """Make one page of a list, oldest first as given; reads limit, order, after and before."""
    limit = _read_limit(query.get("limit", "20"))
    step = 1 if query.get("order", "desc") == "asc" else -1
    documents = _between(documents[::step], query.get("after"), query.get("before"))
    shown = documents[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(documents) > limit,
    }


def _read_limit(text: str) -> int:
    if not text.isdecimal() or len(text) > 6 or not int(text):
        raise wrong_value("limit", "expected a whole number above 0.")
    return min(int(text), MAX_PAGE)


def _between(documents: list[Document], after: str | None, before: str | None) -> list[Document]:
    ids = [document["id"] for document in documents]
    if after is not None:
        documents = documents[ids.index(after) + 1 :] if after in ids else []
    if before is not None and before in ids:
        documents = documents[: ids.index(before)]
    return documents
