"""What a whole Response says about money and about objects the provider keeps (pure).

Called by responses_tap.py for streams and by the proxy for documents.
"""

from typing import Any, NamedTuple

MOST_IDS = 4096
LONGEST_ID_CHARACTERS = 256
# Items made by tools that run at the provider, and the unit each counts as.
_UNITS_BY_ITEM = {
    "web_search_call": "web_search_calls",
    "file_search_call": "file_search_calls",
    "code_interpreter_call": "code_interpreter_calls",
    "image_generation_call": "image_generation_calls",
    "computer_call": "computer_calls",
    "mcp_call": "mcp_calls",
}
_CONTAINERS = "code_interpreter_containers"


class ResponseReading(NamedTuple):
    """One Response document read; `finish_reasons` is {0: ...} or empty while it is not ended."""

    usage: dict[str, Any] | None
    model: str
    service_tier: str
    finish_reasons: dict[int, str]
    units: dict[str, int]
    object_ids: dict[str, str]


class ObjectIds:
    """Ids of what the provider keeps, with their kind: response, conversation, container, item.

    Bounded; an id beyond the bound is not learnt, so nobody is let to it later.
    """

    __slots__ = ("kinds", "response_id")

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self.response_id = ""

    def add_response(self, response: dict[str, Any]) -> None:
        self.response_id = _id_of(response.get("id"))
        self._add(self.response_id, "response")
        conversation = response.get("conversation")
        named = conversation.get("id") if isinstance(conversation, dict) else conversation
        self._add(_id_of(named), "conversation")
        is_kept = response.get("store") is not False
        output = response.get("output")
        for item in output if isinstance(output, list) else ():
            self.add_item(item, is_kept=is_kept)

    def add_item(self, item: object, *, is_kept: bool) -> None:
        """Note an output item; its own id leads anywhere only if the Response is kept."""
        if not isinstance(item, dict):
            return
        if is_kept:
            self._add(_id_of(item.get("id")), "item")
        self._add(_id_of(item.get("container_id")), "container")

    def _add(self, name: str, kind: str) -> None:
        if name and len(self.kinds) < MOST_IDS:
            self.kinds.setdefault(name, kind)


def _id_of(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST_ID_CHARACTERS else ""


def read_response_document(document: dict[str, Any]) -> ResponseReading:
    """Read a Response that came as one document, or the `response` inside an event."""
    ids = ObjectIds()
    ids.add_response(document)
    usage = document.get("usage")
    is_ended = document.get("status") not in (None, "queued", "in_progress")
    return ResponseReading(
        usage=usage if isinstance(usage, dict) and usage else None,
        model=_text(document.get("model")),
        service_tier=_text(document.get("service_tier")),
        finish_reasons={0: ending_of(document)} if is_ended else {},
        units=responses_units(document),
        object_ids=ids.kinds,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def ending_of(document: dict[str, Any], event_type: str = "") -> str:
    """How a Response ended: why it is incomplete, else its status, else what the event says."""
    details = document.get("incomplete_details")
    reason = _text(details.get("reason")) if isinstance(details, dict) else ""
    status = _text(document.get("status"))
    if status in ("", "queued", "in_progress"):
        status = event_type.removeprefix("response.")
    return reason if reason and status == "incomplete" else status


def responses_units(document: dict[str, Any]) -> dict[str, int]:
    """Count what is billed by the piece: output items of the provider's tools, by unit.

    Of web searches only the searches count, not pages opened or searched in; where the provider
    says itself how many there were, that counts. Containers are counted once each.
    """
    counts: dict[str, int] = {}
    containers: set[str] = set()
    output = document.get("output")
    for item in output if isinstance(output, list) else ():
        unit = _unit_of(item)
        if unit:
            counts[unit] = counts.get(unit, 0) + 1
            containers.add(_id_of(item.get("container_id")))
    containers.discard("")
    if containers:
        counts[_CONTAINERS] = len(containers)
    searches = _searches_said(document.get("tool_usage"))
    if searches is not None and (searches or "web_search_calls" in counts):
        counts["web_search_calls"] = searches
    return {name: count for name, count in counts.items() if count}


def _unit_of(item: object) -> str:
    kind = item.get("type") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(kind, str):
        return ""
    action = item.get("action")
    if kind == "web_search_call" and isinstance(action, dict):
        return _UNITS_BY_ITEM[kind] if action.get("type", "search") == "search" else ""
    return _UNITS_BY_ITEM.get(kind, "")


def _searches_said(tool_usage: object) -> int | None:
    block = tool_usage.get("web_search") if isinstance(tool_usage, dict) else None
    count = block.get("num_requests") if isinstance(block, dict) else None
    return count if type(count) is int and 0 <= count <= 10**6 else None
