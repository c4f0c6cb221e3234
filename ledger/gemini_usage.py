"""Splits Gemini's usageMetadata into token buckets (pure); read through ledger.usage_dialects.

promptTokenCount includes what came from the cache; thoughts and what tools fed back in are beside
the other counts. Video and documents are billed like images.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ledger.token_buckets import TokenBuckets
from ledger.usage_counts import MOST_OPEN_KEYS, checked_count, read_counts, share_out

PROMPT = "promptTokenCount"
_COUNTS = frozenset({
    PROMPT, "cachedContentTokenCount", "candidatesTokenCount", "responseTokenCount",
    "thoughtsTokenCount", "toolUsePromptTokenCount", "totalTokenCount",
})  # fmt: skip
_DETAILS = frozenset({
    "promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails",
    "responseTokensDetails", "toolUsePromptTokensDetails",
})  # fmt: skip
_KINDS = {"TEXT": "text", "AUDIO": "audio", "IMAGE": "image", "VIDEO": "image", "DOCUMENT": "image"}
_MOST_DETAILS = 32


def buckets_from_gemini_usage(usage: Mapping[str, Any]) -> tuple[TokenBuckets, list[str]]:
    """Disjoint buckets that sum to prompt + tool prompt, and to candidates + thoughts.

    Where totalTokenCount is more, the surplus is output. ValueError: no promptTokenCount, or a
    count that is not a whole number from 0 to 10^9.
    """
    open_keys: list[str] = []
    counts = read_counts(usage, "", _COUNTS, open_keys, _DETAILS)
    if PROMPT not in counts:
        raise ValueError(f"usage has no {PROMPT}")
    inputs = _inputs(usage, counts, open_keys)
    outputs = _outputs(usage, counts, sum(inputs.values()), open_keys)
    return TokenBuckets(**inputs, **outputs), open_keys[:MOST_OPEN_KEYS]


def _inputs(
    usage: Mapping[str, Any], counts: Mapping[str, int], open_keys: list[str]
) -> dict[str, int]:
    fed = _by_kind(usage, "promptTokensDetails", open_keys)
    cached = _by_kind(usage, "cacheTokensDetails", open_keys)
    tools = _by_kind(usage, "toolUsePromptTokensDetails", open_keys)
    uncached = {kind: max(fed.get(kind, 0) - cached.get(kind, 0), 0) for kind in ("audio", "image")}
    wanted = {
        "audio_input_tokens": uncached["audio"] + tools.get("audio", 0),
        "image_input_tokens": uncached["image"] + tools.get("image", 0),
        "cache_read_tokens": counts.get("cachedContentTokenCount", 0),
    }
    total = counts[PROMPT] + counts.get("toolUsePromptTokenCount", 0)
    return share_out(total, wanted, "input_tokens", open_keys)


def _outputs(
    usage: Mapping[str, Any], counts: Mapping[str, int], total_input: int, open_keys: list[str]
) -> dict[str, int]:
    answer = counts.get("candidatesTokenCount", counts.get("responseTokenCount", 0))
    thoughts = counts.get("thoughtsTokenCount", 0)
    made = _by_kind(usage, "candidatesTokensDetails", open_keys)
    made = made or _by_kind(usage, "responseTokensDetails", open_keys)
    accounted = total_input + answer + thoughts
    surplus = counts.get("totalTokenCount", accounted) - accounted
    if surplus:
        open_keys.append("totalTokenCount")
    wanted = {
        "audio_output_tokens": made.get("audio", 0),
        "image_output_tokens": made.get("image", 0),
    }
    shares = share_out(answer, wanted, "output_tokens", open_keys)
    return {**shares, "reasoning_tokens": thoughts + max(surplus, 0)}


def _by_kind(usage: Mapping[str, Any], name: str, open_keys: list[str]) -> dict[str, int]:
    """The tokens of a list of modalities, by what they are billed as."""
    kinds: dict[str, int] = {}
    for modality, tokens in _modalities(usage, name):
        kind = _KINDS.get(modality)
        if kind is None and tokens:
            open_keys.append(f"{name}.{modality}"[:100])
        kinds[kind or "text"] = kinds.get(kind or "text", 0) + tokens
    return kinds


def _modalities(usage: Mapping[str, Any], name: str) -> Iterator[tuple[str, int]]:
    details = usage.get(name) or []
    if not isinstance(details, list) or len(details) > _MOST_DETAILS:
        raise ValueError(f"usage {name} is not a short list")
    for each in details:
        if not isinstance(each, Mapping):
            raise ValueError(f"usage {name} holds what is not an object")
        yield str(each.get("modality")), checked_count(each.get("tokenCount", 0), name)
