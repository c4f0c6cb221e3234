"""Which requests ask for one answer, and which may be kept at all, by dialect (pure).

Called by the proxy when a body is read; what it finds goes into RequestFacts. When in doubt a
request is not eligible: an answer too few from the cache costs cents, one too many is wrong.
"""

from collections.abc import Mapping
from typing import Any

# Tuples: what is looked up comes from outside and may be anything, unhashable values included.
_OWN_TOOLS = ("function", "custom")
_ANTHROPIC_OWN_TOOLS = (None, "custom")
# What makes a Response depend on, or leave behind, something at the provider.
_RESPONSES_STATE = (
    "previous_response_id", "conversation", "background", "prompt", "context_management",
)  # fmt: skip
_MESSAGES_STATE = ("container", "mcp_servers", "context_management")
# Items that name what only the provider knows; their content can change under the same name.
_PROVIDER_ITEMS = ("item_reference", "compaction")


def is_deterministic(doc: Mapping[str, Any], endpoint: str) -> bool:
    """True when the caller's own words ask for one answer: temperature 0, a seed, embeddings."""
    if endpoint == "chat":
        return _is_one_chat(doc)
    match endpoint:
        case "embeddings":
            return True
        case "responses":
            return _is_cold(doc) and allows_store(doc, endpoint)
        case "messages":
            return _is_cold(doc) and allows_store(doc, endpoint)
        case "completions":
            return (_is_cold(doc) or doc.get("seed") is not None) and allows_store(doc, endpoint)
        case _:
            return False


def allows_store(doc: Mapping[str, Any], endpoint: str) -> bool:
    """False when an answer may never be kept, whatever the rule says.

    So it is where the provider keeps the answer or the call's state (an id in it works once), and
    where the provider's own tools look at the world on the caller's account.
    """
    if endpoint == "chat":
        return doc.get("store") is not True
    match endpoint:
        case "responses":
            is_stateless = doc.get("store") is False and not _has_any(doc, _RESPONSES_STATE)
            own = _has_only_tools(doc.get("tools"), _OWN_TOOLS)
            return is_stateless and own and not _names_provider_items(doc.get("input"))
        case "messages":
            own = _has_only_tools(doc.get("tools"), _ANTHROPIC_OWN_TOOLS)
            return own and not _has_any(doc, _MESSAGES_STATE)
        case "completions":
            return doc.get("best_of") is None or _is_one(doc["best_of"])
        case _:
            return doc.get("store") is not True


def _is_one_chat(doc: Mapping[str, Any]) -> bool:
    if doc.get("seed") is None and not _is_cold(doc):
        return False
    # The provider looks at the world: the same words get another answer later.
    is_open = doc.get("web_search_options") is not None
    return not is_open and _has_only_tools(doc.get("tools"), _OWN_TOOLS)


def _is_cold(doc: Mapping[str, Any]) -> bool:
    temperature = doc.get("temperature")
    return type(temperature) in {int, float} and temperature == 0


def _is_one(value: object) -> bool:
    return type(value) is int and value == 1


def _has_any(doc: Mapping[str, Any], fields: tuple[str, ...]) -> bool:
    return any(doc.get(field) not in (None, False) for field in fields)


def _has_only_tools(tools: object, own: tuple[str | None, ...]) -> bool:
    """True when every tool runs at the caller's, none at the provider's."""
    if not isinstance(tools, list):
        return tools is None
    return all(isinstance(tool, dict) and tool.get("type") in own for tool in tools)


def _names_provider_items(items: object) -> bool:
    if not isinstance(items, list):
        return False
    return any(isinstance(item, dict) and _is_providers(item) for item in items)


def _is_providers(item: dict[str, Any]) -> bool:
    """A reference may leave its type out; then it has no role either."""
    kind = item.get("type")
    return kind in _PROVIDER_ITEMS or (kind is None and "role" not in item)
