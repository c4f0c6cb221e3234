"""Responses and conversations the mock keeps, by API key; made and used by responses.py.

Bounded: the oldest leave. One key never sees what another keeps.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web

from proxy.providers.mock.errors import MockError
from proxy.providers.mock.rendering import Usage
from proxy.providers.mock.responses_request import ResponsesRequest
from proxy.providers.mock.state import Call
from proxy.providers.mock.text import digest_of

MOST_RESPONSES = 5_000
MOST_CONVERSATIONS = 1_000
MOST_ITEMS = 2_000  # of one conversation
_READS_UNTIL_COMPLETE = 2
_WAITING = ("queued", "in_progress")

Kept = TypeVar("Kept")


class Shelf(Generic[Kept]):
    """Objects by API key and id."""

    def __init__(self, kind: str, most: int) -> None:
        self._kind = kind
        self._most = most
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._made = 0

    def new_id(self, prefix: str, api_key: str, seed: bytes) -> str:
        """Make an id no other object has; it follows from the key, the seed and how many came."""
        self._made += 1
        owner = api_key.encode("utf-8", "surrogateescape")
        return f"{prefix}_{digest_of(owner, seed, self._made.to_bytes(8, 'little')).hex()}"

    def put(self, api_key: str, name: str, value: Kept) -> None:
        self._kept[api_key, name] = value
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def get(self, api_key: str, name: str, param: str | None = None) -> Kept:
        """Return what this key keeps under the id; MockError 404 when it keeps nothing there."""
        value = self._kept.get((api_key, name))
        if value is None:
            code = f"{param}_not_found" if param else "not_found"
            raise MockError(
                f"{self._kind} with id '{name}' not found.", status=404, param=param, code=code
            )
        return value

    def drop(self, api_key: str, name: str) -> None:
        self.get(api_key, name)
        del self._kept[api_key, name]

    def of_key(self, api_key: str) -> list[Kept]:
        return [value for (owner, _), value in self._kept.items() if owner == api_key]


@dataclass(slots=True)
class KeptResponse:
    """One Response: `document` is its finished form, `status` where it stands."""

    request: ResponsesRequest
    before: list[dict[str, Any]]
    document: dict[str, Any]
    usage: Usage
    call: Call  # under its id the work is billed: of the call that finds it done
    status: str
    reads: int = 0

    def shown(self) -> dict[str, Any]:
        """The document as it looks now: until it is complete there is no output."""
        if self.status == self.document["status"]:
            return self.document
        unfinished: dict[str, Any] = {"output": [], "usage": None, "incomplete_details": None}
        return self.document | unfinished | {"status": self.status, "completed_at": None}

    def look(self, call: Call) -> dict[str, Any]:
        """Show it to a caller who polls: the first look finds it under way, the second done."""
        if self.status in _WAITING:
            self.call = call
            self.reads += 1
            self.status = "in_progress"
            if self.reads >= _READS_UNTIL_COMPLETE:
                self.complete()
        return self.shown()

    def complete(self) -> None:
        """Finish the work and bill it; once only, and not after it was cancelled."""
        if self.status in _WAITING:
            self.status = self.document["status"]
            self.call.charge(self.document["model"], self.usage, is_complete=True)

    def cancel(self) -> dict[str, Any]:
        if self.status in _WAITING:
            self.status = "cancelled"
        return self.shown()

    def conversation(self) -> list[dict[str, Any]]:
        """All items up to and including its answer."""
        return [*self.before, *self.request.items, *self.shown()["output"]]


class ResponseStore:
    """All that the Responses routes keep."""

    def __init__(self) -> None:
        self.responses: Shelf[KeptResponse] = Shelf("Response", MOST_RESPONSES)
        self.conversations: Shelf[list[dict[str, Any]]] = Shelf("Conversation", MOST_CONVERSATIONS)

    def before(self, api_key: str, document: dict[str, Any]) -> list[dict[str, Any]]:
        """What was said before this request, by the ids it names; MockError 404 if unknown."""
        previous = document.get("previous_response_id")
        if previous:
            return self.responses.get(api_key, previous, "previous_response_id").conversation()
        named = conversation_id(document)
        return self.conversations.get(api_key, named, "conversation") if named else []

    def resolve(self, api_key: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put in what item references stand for; MockError 404 for items of nobody's or others'."""
        if not any(item["type"] == "item_reference" for item in items):
            return items
        known = {
            str(item["id"]): item
            for kept in self.responses.of_key(api_key)
            for item in kept.conversation()
            if "id" in item
        }
        resolved = []
        for item in items:
            name, is_reference = str(item["id"]), item["type"] == "item_reference"
            if is_reference and name not in known:
                message = f"Item with id '{name}' not found."
                raise MockError(message, status=404, param="input", code="item_not_found")
            resolved.append(known[name] if is_reference else item)
        return resolved

    def extend(self, api_key: str, named: str, items: list[dict[str, Any]]) -> None:
        """Add what was said to a conversation, the oldest leaving when it is full."""
        grown = [*self.conversations.get(api_key, named, "conversation"), *items]
        self.conversations.put(api_key, named, grown[-MOST_ITEMS:])


RESPONSES = web.AppKey("RESPONSES", ResponseStore)


def conversation_id(document: dict[str, Any]) -> str:
    named = document.get("conversation")
    value = named.get("id") if isinstance(named, dict) else named
    return value if isinstance(value, str) else ""
