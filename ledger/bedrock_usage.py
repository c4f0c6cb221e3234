"""Splits the usage of Bedrock's Converse API into buckets (pure); through ledger.usage_dialects.

As at Anthropic, inputTokens leaves out what was read from the cache or written to it.
"""

from collections.abc import Mapping
from typing import Any

from ledger.token_buckets import TokenBuckets
from ledger.usage_counts import MOST_OPEN_KEYS, checked_count, read_counts

INPUT = "inputTokens"
_READS = ("cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITES = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")
_COUNTS = frozenset({INPUT, "outputTokens", "totalTokens", *_READS, *_WRITES})
_CACHE_DETAILS = "cacheDetails"
_MOST_DETAILS = 32


def buckets_from_bedrock_usage(usage: Mapping[str, Any]) -> tuple[TokenBuckets, list[str]]:
    """Disjoint buckets of a Converse usage block.

    totalTokens is met with or without the cached tokens; a surplus over both is output.
    ValueError: no inputTokens, or a count that is not a whole number from 0 to 10^9.
    """
    open_keys: list[str] = []
    counts = read_counts(usage, "", _COUNTS, open_keys, frozenset({_CACHE_DETAILS}))
    if INPUT not in counts:
        raise ValueError(f"usage has no {INPUT}")
    reads = max(counts.get(name, 0) for name in _READS)
    hour = _hour_writes(usage)
    writes = max(hour, *(counts.get(name, 0) for name in _WRITES))
    plain = counts[INPUT] + counts.get("outputTokens", 0)
    whole = plain + reads + writes
    total = counts.get("totalTokens", whole)
    if total not in {plain, whole}:
        open_keys.append("totalTokens")
    buckets = TokenBuckets(
        input_tokens=counts[INPUT],
        cache_read_tokens=reads,
        cache_write_5m_tokens=writes - hour,
        cache_write_1h_tokens=hour,
        output_tokens=counts.get("outputTokens", 0) + max(total - whole, 0),
    )
    return buckets, open_keys[:MOST_OPEN_KEYS]


def _hour_writes(usage: Mapping[str, Any]) -> int:
    """Tokens written for an hour, by the list of what was written for how long."""
    details = usage.get(_CACHE_DETAILS) or []
    if not isinstance(details, list) or len(details) > _MOST_DETAILS:
        raise ValueError(f"usage {_CACHE_DETAILS} is not a short list")
    return sum(
        checked_count(each.get(INPUT, 0), _CACHE_DETAILS)
        for each in details
        if isinstance(each, Mapping) and each.get("ttl") == "1h"
    )
