"""Bedrock's Converse usage becomes disjoint buckets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bedrock_usage import buckets_from_bedrock_usage
from ledger.token_buckets import TokenBuckets

counts = st.integers(0, 200_000)


@given(counts, counts, counts, counts, counts, st.booleans())
def test_a_well_formed_block_gives_back_its_buckets(
    text: int, read: int, five: int, hour: int, out: int, is_cache_in_total: bool
) -> None:
    usage = {
        "inputTokens": text,
        "outputTokens": out,
        "totalTokens": text + out + is_cache_in_total * (read + five + hour),
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": five + hour,
        "cacheDetails": [{"ttl": "5m", "inputTokens": five}, {"ttl": "1h", "inputTokens": hour}],
    }

    expected = TokenBuckets(text, read, five, hour, output_tokens=out)
    assert buckets_from_bedrock_usage(usage) == (expected, [])


def test_a_total_that_nothing_explains_is_output_and_reported() -> None:
    buckets, open_keys = buckets_from_bedrock_usage(
        {"inputTokens": 5, "outputTokens": 2, "totalTokens": 17}
    )

    assert buckets == TokenBuckets(input_tokens=5, output_tokens=12)
    assert open_keys == ["totalTokens"]


@pytest.mark.parametrize(
    "usage",
    [
        {}, {"inputTokens": None}, {"inputTokens": 1.0}, {"inputTokens": 1, "outputTokens": -1},
        {"inputTokens": 1, "cacheDetails": "x"},
        {"inputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": "x"}]},
    ],
)  # fmt: skip
def test_what_is_no_usage_block_is_refused(usage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"usage|count"):
        buckets_from_bedrock_usage(usage)
