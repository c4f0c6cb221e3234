"""Usage between Anthropic's words and OpenAI's, without losing a token or counting one twice.

Called by the answers and streams of both directions. Anthropic's input_tokens leaves out what was
read from and written to the prompt cache; OpenAI's prompt_tokens has both inside.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.translation import Document

TIERS_UP = {"standard": "default", "priority": "priority", "batch": "batch"}
TIERS_DOWN = {"default": "standard", "priority": "priority", "fast": "priority", "batch": "batch"}
NO_USAGE = {"input_tokens": 0, "output_tokens": 0}


def count_of(usage: Mapping[str, Any], name: str) -> int:
    """Return a count of tokens, 0 where there is none or no whole number above it."""
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def nested(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def _counts(usage: Mapping[str, Any], name: str) -> dict[str, int]:
    """Return the counts of a nested block, whatever their names; nothing else of it."""
    return {key: value for key, value in nested(usage, name).items() if isinstance(value, int)}


def merge_usage(old: Mapping[str, Any] | None, new: object) -> Mapping[str, Any] | None:
    """Lay a later usage of the same stream over an earlier one; its counts are running totals."""
    if not isinstance(new, dict):
        return old
    said = {name: value for name, value in new.items() if value is not None}
    return {**old, **said} if old else said


def chat_usage(usage: Mapping[str, Any] | None) -> Document | None:
    """Return OpenAI's usage of Anthropic's; None when it does not say how many tokens came in."""
    if usage is None or not isinstance(usage.get("input_tokens"), int):
        return None
    reads = count_of(usage, "cache_read_input_tokens")
    writes = count_of(usage, "cache_creation_input_tokens")
    prompt = count_of(usage, "input_tokens") + reads + writes
    completion = count_of(usage, "output_tokens")
    details: Document = {"cached_tokens": reads, "cache_write_tokens": writes}
    if lifetimes := _counts(usage, "cache_creation"):
        details["cache_creation_token_details"] = lifetimes
    document: Document = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details,
    }
    thinking = nested(usage, "output_tokens_details")
    if "thinking_tokens" in thinking:
        reasoning = min(count_of(thinking, "thinking_tokens"), completion)
        document["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    if calls := _counts(usage, "server_tool_use"):
        document["server_tool_use"] = calls
    return document


def messages_usage(usage: Mapping[str, Any] | None, tier: object = None) -> Document:
    """Return Anthropic's usage of OpenAI's; zeros where there is none: its clients need numbers."""
    if not usage:
        return dict(NO_USAGE)
    details = nested(usage, "prompt_tokens_details")
    reads = count_of(details, "cached_tokens")
    writes = count_of(details, "cache_write_tokens")
    document: Document = {
        "input_tokens": max(0, count_of(usage, "prompt_tokens") - reads - writes),
        "cache_creation_input_tokens": writes,
        "cache_read_input_tokens": reads,
        "output_tokens": _output_tokens(usage),
    }
    if lifetimes := _counts(details, "cache_creation_token_details"):
        document["cache_creation"] = lifetimes
    reasoning = nested(usage, "completion_tokens_details")
    if "reasoning_tokens" in reasoning:
        thinking = {"thinking_tokens": count_of(reasoning, "reasoning_tokens")}
        document["output_tokens_details"] = thinking
    if calls := _counts(usage, "server_tool_use"):
        document["server_tool_use"] = calls
    if isinstance(tier, str) and tier in TIERS_DOWN:
        document["service_tier"] = TIERS_DOWN[tier]
    return document


def _output_tokens(usage: Mapping[str, Any]) -> int:
    """Some servers leave reasoning out of completion_tokens and put it into the total only."""
    completion = count_of(usage, "completion_tokens")
    return max(completion, count_of(usage, "total_tokens") - count_of(usage, "prompt_tokens"))
