"""Which of a provider's objects a request refers to, and whether its tenant may (pure but the map).

Called by the pipeline for dialects and by the relay for everything else. An object of somebody
else is answered like one that does not exist: 404, with the same words.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from proxy.errors import GatewayError
from proxy.resources.ownership import Owner, OwnershipMap

# Fields whose text, or list of texts, names an object the provider keeps.
REFERENCE_FIELDS = frozenset({
    "previous_response_id", "comparison_response_id", "response_id", "conversation",
    "conversation_id", "file_id", "file_ids", "input_file_id", "output_file_id", "training_file",
    "validation_file", "vector_store_id", "vector_store_ids", "container", "container_id",
    "container_ids", "batch_id", "upload_id", "part_ids", "assistant_id", "thread_id",
    "fine_tuning_job_id", "input_file_ids", "cachedContent", "cached_content",
})  # fmt: skip
# Fields under which an object with an id of its own is meant, such as {"conversation": {"id": _}}.
NESTED_FIELDS = frozenset({"conversation", "container"})
# The caller's own data: providers look nothing up that is named in here.
OPAQUE_FIELDS = frozenset({
    "prompt",  # a template of the operator's account
    "metadata", "attributes", "parameters", "input_schema", "json_schema", "schema", "args",
})  # fmt: skip
BARE_ITEM = frozenset({"id", "status"})  # OpenAI takes such an item for a reference
STORED_ITEMS = frozenset({"item_reference"})
MOST_REFERENCES = 1000
# Google's files are named by their address.
FILE_ADDRESS = re.compile(r"https://[a-z0-9.-]*googleapis\.com/[^/]*/?files/\S+")
ADDRESS_FIELDS = frozenset({"fileUri", "file_uri", "url", "file_url", "image_url", "file_id"})
MARKS = (
    b"ached",
    b"googleapis",
    b"_id",
    b"container",
    b"conversation",
    b"item_reference",
    b"training_file",
    b"reasoning",
)
# What a plain chat message consists of.
PLAIN_TURN = frozenset({"role", "content", "name"})
SCALARS = (str, int, float, bool, type(None))
# Values of those fields that name nothing of anybody.
NO_OBJECTS = frozenset({"auto", "none", ""})


def may_refer(endpoint: str, doc: Mapping[str, Any], body: bytes) -> bool:
    """Return whether a request could hold a reference at all; chats nearly never do."""
    if endpoint == "responses":
        return True
    return not _is_plain_chat(doc) and (any(mark in body for mark in MARKS) or b"\\u00" in body)


def _is_plain_chat(doc: Mapping[str, Any]) -> bool:
    """Seen at a glance: turns of text, and beside them only numbers and words that name nothing."""
    for name, value in doc.items():
        if name == "messages":
            if not _are_plain(value):
                return False
        elif not isinstance(value, SCALARS) or name in REFERENCE_FIELDS or name in ADDRESS_FIELDS:
            return False
    return True


def _are_plain(turns: Any) -> bool:
    if not isinstance(turns, list):
        return False
    for turn in turns:
        if not isinstance(turn, dict) or not turn.keys() <= PLAIN_TURN:
            return False
        if not isinstance(turn.get("content"), str):
            return False
    return True


def references_in(value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Iterate over (field, object id) of everything a document refers to."""
    if depth > 64:
        raise GatewayError(400, "invalid_request", "The body is nested too deeply.", "Flatten it.")
    if isinstance(value, list):
        for item in value:
            yield from references_in(item, depth + 1)
    elif isinstance(value, dict):
        yield from _item_reference(value)
        for name, inner in _looked_into(value):
            if name in REFERENCE_FIELDS:
                yield from _named(name, inner)
            elif name in ADDRESS_FIELDS and isinstance(inner, str) and FILE_ADDRESS.match(inner):
                yield name, inner
            yield from references_in(inner, depth + 1)


def _looked_into(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    is_tool_call = value.get("type") == "tool_use"  # whose `input` is the caller's own data
    for name, inner in value.items():
        if name not in OPAQUE_FIELDS and not (is_tool_call and name == "input"):
            yield name, inner


def _named(name: str, value: Any) -> Iterator[tuple[str, str]]:
    values = value if isinstance(value, list) else [value]
    for each in values:
        if isinstance(each, dict) and name in NESTED_FIELDS:
            each = each.get("id")  # noqa: PLW2901 the object is meant by its id
        if isinstance(each, str) and each not in NO_OBJECTS:
            yield name, each


def _item_reference(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """An item that the provider would look up; one that carries its content is no reference."""
    kind, item_id = item.get("type"), item.get("id")
    is_only_named = item.keys() <= BARE_ITEM
    is_bare_reasoning = kind == "reasoning" and item_id and not item.get("encrypted_content")
    if (kind in STORED_ITEMS or is_bare_reasoning or is_only_named) and isinstance(item_id, str):
        yield "input", item_id


def check_references(document: Any, tenant: str, ownership: OwnershipMap) -> Owner | None:
    """Return the owner record of what a document refers to, None when it refers to nothing.

    Raises GatewayError: 404 for what is not this tenant's, 400 for objects of two upstreams.
    """
    pinned: Owner | None = None
    for number, (name, object_id) in enumerate(references_in(document)):
        if number >= MOST_REFERENCES:
            hint = f"Refer to at most {MOST_REFERENCES} objects."
            raise GatewayError(400, "invalid_request", "Too many references.", hint, param=name)
        owner = owned(object_id, tenant, ownership, name)
        if pinned is not None and owner.upstream != pinned.upstream:
            raise GatewayError(
                400, "invalid_request", "The request refers to objects of different upstreams.",
                "Use objects that were made through the same model or upstream.", param=name,
            )  # fmt: skip
        pinned = pinned or owner
    return pinned


def owned(object_id: str, tenant: str, ownership: OwnershipMap, param: str | None = None) -> Owner:
    """Return the owner record of an object of this tenant's, or raise the 404."""
    owner = ownership.find(object_id)
    if owner is None or owner.tenant != tenant:
        raise GatewayError(
            404,
            "not_found",
            f"No object {object_id[:64]!r} was made through this gateway by your tenant.",
            "Objects made elsewhere, or by others, are not reachable here: make it again here.",
            param=param,
        )
    return owner
