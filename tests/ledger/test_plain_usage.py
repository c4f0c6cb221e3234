"""The direct lane for plain usage blocks: it says what the general readers say, or nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.plain_usage import plain_buckets
from ledger.token_buckets import TokenBuckets
from ledger.usage_dialects import buckets_from_usage, tier_from_usage
from ledger.usage_units import units_from_usage

counts: st.SearchStrategy[Any] = st.integers(0, 40) | st.sampled_from(
    [-1, 10**9, 10**9 + 1, True, None, 1.0, "3", {}]
)
DETAILS = (
    *("cached_tokens", "audio_tokens", "reasoning_tokens", "accepted_prediction_tokens"),
    *("rejected_prediction_tokens", "image_tokens", "text_tokens", "hologram_tokens"),
)
details: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(DETAILS), counts, max_size=5
) | st.sampled_from([None, 3])
plain_details = st.dictionaries(st.sampled_from(DETAILS[:5]), st.integers(0, 12), max_size=4)


@st.composite
def blocks(draw: st.DrawFn) -> dict[str, Any]:
    """Usage blocks that are plain, or nearly so."""
    prompt, completion = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    block: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if draw(st.booleans()):
        for name in ("prompt_tokens_details", "completion_tokens_details"):
            block[name] = draw(plain_details | details)
    odd = st.dictionaries(
        st.sampled_from([*block, "service_tier", "cost", "input_tokens", "cached_tokens", "type"]),
        counts,
        max_size=2,
    )
    return {**block, **draw(odd)} if draw(st.booleans()) else block


@given(blocks())
def test_both_lanes_agree(usage: dict[str, Any]) -> None:
    plain = plain_buckets(usage)
    if plain is not None:
        assert buckets_from_usage(usage) == (plain, [])
        assert (units_from_usage(usage), tier_from_usage(usage)) == ({}, "")
        assert type(plain) is TokenBuckets


def test_the_block_of_a_chat_is_plain() -> None:
    usage: dict[str, Any] = {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}
    assert plain_buckets(usage) == TokenBuckets(input_tokens=19, output_tokens=10)
    usage["prompt_tokens_details"] = {"cached_tokens": 4, "audio_tokens": 2}
    usage["completion_tokens_details"] = {
        "reasoning_tokens": 3, "audio_tokens": 1,
        "accepted_prediction_tokens": 5, "rejected_prediction_tokens": 0,
    }  # fmt: skip
    assert plain_buckets(usage) == TokenBuckets(
        input_tokens=13, cache_read_tokens=4, audio_input_tokens=2,
        output_tokens=6, reasoning_tokens=3, audio_output_tokens=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"total_tokens": 30},
        {"prompt_tokens": True},
        {"completion_tokens": None},
        {"prompt_tokens": -1, "total_tokens": 9},
        {"prompt_tokens": 10**9 + 1, "total_tokens": 10**9 + 11},
        {"cost": 0.1},
        {"prompt_tokens_details": {"cached_tokens": 1}},
        {"prompt_tokens_details": {"cached_tokens": 20}, "completion_tokens_details": {}},
        {"prompt_tokens_details": {"text_tokens": 1}, "completion_tokens_details": {}},
        {"prompt_tokens_details": None, "completion_tokens_details": None},
    ],
)
def test_whatever_is_doubtful_is_left_to_the_general_readers(changes: dict[str, Any]) -> None:
    usage = {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29, **changes}
    assert plain_buckets(usage) is None
