"""Token buckets, and how a provider's usage block is split into them (pure).

Read through ledger.rating by the proxy, which records the buckets on every END. The shapes are
those of OpenAI's API reference (chat, embeddings, responses) with what compatible providers add.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ledger.usage_counts import MOST_OPEN_KEYS, read_counts, share_out

# The last of each is what realtime and transcription say.
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_ANTHROPIC_KEYS = ("cache_read_input_tokens", "cache_creation_input_tokens")
_USAGE_COUNTS = frozenset({
    "prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens",
    "prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "cached_tokens", "reasoning_tokens",
    *_ANTHROPIC_KEYS,
})  # fmt: skip
_DETAIL_COUNTS = frozenset({
    "cached_tokens", "cache_write_tokens", "cache_creation_tokens", "reasoning_tokens",
    "audio_tokens", "image_tokens", "text_tokens", "thinking_tokens",
    "accepted_prediction_tokens", "rejected_prediction_tokens",  # both are inside the text output
})  # fmt: skip
_TTL_COUNTS = frozenset({"ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"})
# Read on their own, or no dimension of the price: money already summed up, and durations.
_NOT_COUNTS = frozenset({
    *_INPUT_DETAILS, *_OUTPUT_DETAILS, "cache_creation", "cache_creation_token_details",
    "cached_tokens_details", "cost", "cost_details", "cost_in_usd_ticks",
    "queue_time", "prompt_time", "completion_time", "total_time",
})  # fmt: skip


class TokenBuckets(NamedTuple):
    """Tokens of one attempt, disjoint: a token is in one bucket only, so the sums are the totals.

    `input_tokens` is uncached text, `output_tokens` is text that is not reasoning.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    image_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    image_output_tokens: int = 0

    @property
    def total_input(self) -> int:
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
            + self.audio_input_tokens
            + self.image_input_tokens
        )

    @property
    def total_output(self) -> int:
        return (
            self.output_tokens
            + self.reasoning_tokens
            + self.audio_output_tokens
            + self.image_output_tokens
        )


def buckets_from_openai_usage(usage: Mapping[str, Any]) -> tuple[TokenBuckets, list[str]]:
    """Disjoint buckets of a chat, embeddings or responses usage block, and what they leave open.

    The input buckets sum to prompt_tokens, the output buckets to completion_tokens. Where
    `total_tokens` is more, the surplus is output too (xAI and Gemini leave reasoning out of
    completion_tokens). Details that exceed their total are cut, the cheapest first, so that doubt
    gives the upper estimate. The list names keys that count something nobody prices here, and
    whatever was cut or added. ValueError: not a block, no prompt tokens, or a count that is not a
    whole number from 0 to 10^9.
    """
    open_keys: list[str] = []
    counts = read_counts(usage, "", _USAGE_COUNTS, open_keys, _NOT_COUNTS)
    inputs = _input_buckets(usage, counts, open_keys)
    outputs = _output_buckets(usage, counts, sum(inputs.values()), open_keys)
    return TokenBuckets(**inputs, **outputs), open_keys[:MOST_OPEN_KEYS]


def _input_buckets(
    usage: Mapping[str, Any], counts: Mapping[str, int], open_keys: list[str]
) -> dict[str, int]:
    if "prompt_tokens" not in counts and "input_tokens" not in counts:
        raise ValueError("usage has neither prompt_tokens nor input_tokens")
    block, details = _details(usage, _INPUT_DETAILS, open_keys)
    reads = max(
        details.get("cached_tokens", 0),
        counts.get("cache_read_input_tokens", 0),
        counts.get("prompt_cache_hit_tokens", 0),
        counts.get("cached_tokens", 0),
    )
    writes = max(
        details.get("cache_write_tokens", 0),
        details.get("cache_creation_tokens", 0),
        counts.get("cache_creation_input_tokens", 0),
    )
    prompt = counts.get("prompt_tokens")
    if prompt is None:
        prompt = counts["input_tokens"]
        if any(key in counts for key in _ANTHROPIC_KEYS):
            prompt += reads + writes  # Anthropic's input_tokens leaves both out
    hour_writes = min(_hour_writes(usage, block, open_keys), writes)
    cached = _nested(block, "cached_tokens_details", _DETAIL_COUNTS, open_keys)
    wanted = {
        "audio_input_tokens": _uncached("audio_tokens", details, cached),
        "image_input_tokens": _uncached("image_tokens", details, cached),
        "cache_write_1h_tokens": hour_writes,
        "cache_write_5m_tokens": writes - hour_writes,
        "cache_read_tokens": reads,
    }
    return share_out(prompt, wanted, "input_tokens", open_keys)


def _output_buckets(
    usage: Mapping[str, Any], counts: Mapping[str, int], total_input: int, open_keys: list[str]
) -> dict[str, int]:
    completion = counts.get("completion_tokens", counts.get("output_tokens", 0))
    _, details = _details(usage, _OUTPUT_DETAILS, open_keys)
    reasoning = max(
        details.get("reasoning_tokens", 0),
        details.get("thinking_tokens", 0),  # Anthropic's name
        counts.get("reasoning_tokens", 0),
    )
    accounted = total_input + completion
    surplus = counts.get("total_tokens", accounted) - accounted
    if surplus < 0:
        surplus = 0
        open_keys.append("total_tokens")
    elif surplus and surplus != reasoning:
        reasoning += surplus
        open_keys.append("total_tokens")
    wanted = {
        "audio_output_tokens": details.get("audio_tokens", 0),
        "image_output_tokens": details.get("image_tokens", 0),
        "reasoning_tokens": reasoning,
    }
    return share_out(completion + surplus, wanted, "output_tokens", open_keys)


def _hour_writes(usage: Mapping[str, Any], details: Mapping[str, Any], open_keys: list[str]) -> int:
    by_ttl = _nested(usage, "cache_creation", _TTL_COUNTS, open_keys) or _nested(
        details, "cache_creation_token_details", _TTL_COUNTS, open_keys
    )
    return by_ttl.get("ephemeral_1h_input_tokens", 0)


def _uncached(name: str, details: Mapping[str, int], cached: Mapping[str, int]) -> int:
    return max(details.get(name, 0) - cached.get(name, 0), 0)


def _details(
    usage: Mapping[str, Any], names: tuple[str, ...], open_keys: list[str]
) -> tuple[Mapping[str, Any], dict[str, int]]:
    """The first details block there is, as it came and as its counts."""
    for name in names:
        if usage.get(name) is not None:
            path = f"{name}."
            counts = read_counts(usage[name], path, _DETAIL_COUNTS, open_keys, _NOT_COUNTS)
            return usage[name], counts
    return {}, {}


def _nested(
    parent: Mapping[str, Any], name: str, known: frozenset[str], open_keys: list[str]
) -> dict[str, int]:
    value = parent.get(name)
    if value is None:
        return {}
    return read_counts(value, f"{name}.", known, open_keys, _NOT_COUNTS)
