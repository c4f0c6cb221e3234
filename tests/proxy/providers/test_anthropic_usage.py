"""Usage in both directions: no token is lost, none is counted twice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.token_buckets import buckets_from_openai_usage
from proxy.providers.anthropic_usage import chat_usage, merge_usage, messages_usage

COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 10**6))
def test_both_dialects_are_rated_alike(
    plain: int, read: int, write_5m: int, write_1h: int, output: int, thinking: int
) -> None:
    usage = {
        "input_tokens": plain,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write_5m + write_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": write_5m,
            "ephemeral_1h_input_tokens": write_1h,
        },
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": min(thinking, output)},
    }
    translated = chat_usage(usage)
    assert translated is not None
    buckets, open_keys = buckets_from_openai_usage(translated)
    assert open_keys == []
    assert buckets.input_tokens == plain
    assert buckets.cache_read_tokens == read
    assert buckets.cache_write_5m_tokens == write_5m
    assert buckets.cache_write_1h_tokens == write_1h
    assert buckets.output_tokens + buckets.reasoning_tokens == output
    assert buckets.reasoning_tokens == min(thinking, output)
    assert messages_usage(translated) == usage


def test_unknown_usage_is_not_zero() -> None:
    assert chat_usage(None) is None
    assert chat_usage({"output_tokens": 7}) is None
    assert chat_usage({"input_tokens": "7"}) is None


def test_what_is_no_count_counts_nothing() -> None:
    usage: dict[str, Any] = {"input_tokens": 5, "output_tokens": -3, "cache_read_input_tokens": "x"}
    translated = chat_usage({**usage, "cache_creation": 7, "server_tool_use": []})
    assert translated is not None
    assert (translated["prompt_tokens"], translated["total_tokens"]) == (5, 5)


def test_reasoning_outside_of_completion_tokens_is_output() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35}
    assert messages_usage(usage)["output_tokens"] == 25


def test_more_cached_than_sent_leaves_nothing_plain() -> None:
    usage = {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 12}}
    assert messages_usage(usage)["input_tokens"] == 0


@pytest.mark.parametrize(
    ("tier", "served"),
    [("default", "standard"), ("priority", "priority"), ("flex", None), (None, None)],
)
def test_tier_is_told_where_anthropic_has_a_word(tier: str | None, served: str | None) -> None:
    assert messages_usage({"prompt_tokens": 1}, tier).get("service_tier") == served


def test_later_counts_replace_earlier_ones() -> None:
    first = merge_usage(None, {"input_tokens": 5, "output_tokens": 1, "speed": None})
    assert first == {"input_tokens": 5, "output_tokens": 1}
    last = merge_usage(first, {"input_tokens": None, "output_tokens": 9})
    assert last == {"input_tokens": 5, "output_tokens": 9}
    assert merge_usage(last, "garbage") == last
