"""Which objects at the provider a Responses request names (pure); for the ownership map.

Called before a request leaves: each id must belong to the caller's tenant, wherever it stands.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MOST_NAMED_IDS = 4096
# Fields anywhere in a request that hold an id, or a list of them.
_KINDS_BY_FIELD = {
    "previous_response_id": "response",
    "comparison_response_id": "response",
    "conversation": "conversation",
    "file_id": "file",
    "file_ids": "file",
    "vector_store_ids": "vector_store",
    "container": "container",
    "container_id": "container",
}
# The caller's own words and schemas: a field of that name in them names nothing at the provider.
_NOT_WALKED = frozenset({"metadata", "parameters", "schema", "output_schema"})


class NamedId(NamedTuple):
    """One id, its kind as ObjectIds has it (or "file", "vector_store"), and the field it is in."""

    kind: str
    name: str
    param: str


def ids_named_by(doc: Mapping[str, Any]) -> list[NamedId]:
    """Return every id the request uses, each once, at most MOST_NAMED_IDS + 1 of them.

    One more than the bound means that there are too many to be checked: refuse the request.
    """
    found: dict[NamedId, None] = {}
    for named in _walk(doc):
        found[named] = None
        if len(found) > MOST_NAMED_IDS:
            break
    return list(found)


def _walk(doc: Mapping[str, Any]) -> Iterator[NamedId]:
    """Walk without recursion: a body may be nested deeper than the interpreter's stack."""
    yield from _references(doc.get("input"))
    waiting: list[Any] = [doc]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, Mapping):
            for field, value in node.items():
                if field in _KINDS_BY_FIELD:
                    yield from _ids(_KINDS_BY_FIELD[field], value, field)
                if field not in _NOT_WALKED and isinstance(value, list | Mapping):
                    waiting.append(value)


def _references(items: object) -> Iterator[NamedId]:
    """Items that only name a kept one; their type may be left out."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            kind = item.get("type")
            if kind == "item_reference" or (kind is None and "role" not in item):
                yield from _ids("item", item.get("id"), "input")


def _ids(kind: str, value: object, param: str) -> Iterator[NamedId]:
    """An id is a text, an object with one, or one of a list of texts."""
    if isinstance(value, Mapping):
        value = value.get("id")
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str) and each:
            yield NamedId(kind, each, param)
