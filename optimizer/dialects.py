"""Where each dialect keeps the prompt, the end user and the way an answer travels: plain tables.

Read by caching.py (keys), session.py (whose call it is) and eligibility.py. An endpoint that is
not listed is read as chat: its fields are the hub's.
"""

from collections.abc import Mapping
from typing import Any

# Fields that change how an answer travels or who is named, never what is answered. Isolation
# between users is the scope's job, so naming a user does not fragment the key. `store` is here
# because store: true is never cached at all, and store: false is what leaving it out means.
TRANSPORT_FIELDS = frozenset({
    "stream",
    "stream_options",
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
})  # fmt: skip

# Hashed once, in the order in which providers cache prefixes: tools come before messages.
PROMPT_FIELDS = ("tools", "messages", "input")

_PROMPT_FIELDS_BY_ENDPOINT = {
    "responses": ("tools", "instructions", "input"),
    "messages": ("tools", "system", "messages"),
    "completions": ("prompt",),
    "gemini": ("tools", "systemInstruction", "system_instruction", "contents"),
}
# A Response repeats metadata, user and cache key to its caller: answers that differ in them
# differ, so there all fields count. Stored streams go out as they are: their options count too.
_TRANSPORT_BY_ENDPOINT = {
    "responses": frozenset({"stream"}),
    "messages": frozenset({"stream", "metadata"}),
    "completions": TRANSPORT_FIELDS - {"stream_options"},
    "gemini": frozenset({"stream"}),
}

_UNHASHED = TRANSPORT_FIELDS | {"model"}
_UNHASHED_BY_ENDPOINT = {
    endpoint: fields | {"model"} for endpoint, fields in _TRANSPORT_BY_ENDPOINT.items()
}


def prompt_fields(endpoint: str) -> tuple[str, ...]:
    return _PROMPT_FIELDS_BY_ENDPOINT.get(endpoint, PROMPT_FIELDS)


def unhashed_fields(endpoint: str) -> frozenset[str]:
    """Transport, and the model: which one will be called counts by its own."""
    return _UNHASHED_BY_ENDPOINT.get(endpoint, _UNHASHED)


def has_one_form(endpoint: str) -> bool:
    """Whether a stored answer goes out only in the form it was asked for: chat alone has twins."""
    return endpoint in _PROMPT_FIELDS_BY_ENDPOINT


def subjects_in(doc: Mapping[str, Any], endpoint: str) -> tuple[str, str]:
    """The end user's names in this dialect, "" for each it lacks."""
    if endpoint == "messages":
        metadata = doc.get("metadata")
        return _text(metadata.get("user_id")) if isinstance(metadata, Mapping) else "", ""
    if endpoint == "gemini":
        return "", ""
    return _text(doc.get("user")), _text(doc.get("safety_identifier"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
