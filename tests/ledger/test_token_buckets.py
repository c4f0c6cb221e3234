"""Usage blocks of every shape become disjoint buckets that keep the totals."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.token_buckets import TokenBuckets, buckets_from_openai_usage

counts = st.integers(0, 200_000)


@st.composite
def well_formed_usages(draw: st.DrawFn) -> tuple[dict[str, Any], TokenBuckets]:
    """A usage block as a provider would make it from known buckets, in either dialect."""
    truth = TokenBuckets(**{name: draw(counts) for name in TokenBuckets._fields})
    writes = truth.cache_write_5m_tokens + truth.cache_write_1h_tokens
    is_chat = draw(st.booleans())
    inputs = {
        "cached_tokens": truth.cache_read_tokens,
        "cache_write_tokens": writes,
        "cache_creation_token_details": {
            "ephemeral_5m_input_tokens": truth.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": truth.cache_write_1h_tokens,
        },
        "audio_tokens": truth.audio_input_tokens,
        "image_tokens": truth.image_input_tokens,
        "text_tokens": truth.input_tokens,
    }
    outputs = {
        "reasoning_tokens": truth.reasoning_tokens,
        "audio_tokens": truth.audio_output_tokens,
        "image_tokens": truth.image_output_tokens,
        "accepted_prediction_tokens": draw(st.integers(0, truth.output_tokens)),
        "rejected_prediction_tokens": None,
    }
    first, second = ("prompt", "completion") if is_chat else ("input", "output")
    usage: dict[str, Any] = {
        f"{first}_tokens": truth.total_input,
        f"{second}_tokens": truth.total_output,
        f"{first}_tokens_details": inputs,
        f"{second}_tokens_details": outputs,
    }
    if draw(st.booleans()):
        usage["total_tokens"] = truth.total_input + truth.total_output
    return usage, truth


details = st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens", "reasoning_tokens"]
    ),
    st.one_of(counts, st.none()),
)
odd_usages = st.fixed_dictionaries(
    {"prompt_tokens": counts},
    optional={
        "completion_tokens": counts,
        "total_tokens": counts,
        "prompt_tokens_details": st.one_of(st.none(), details),
        "completion_tokens_details": st.one_of(st.none(), details),
        "cached_tokens": counts,
        "prompt_cache_hit_tokens": counts,
        "cache_creation_input_tokens": counts,
    },
)


@given(well_formed_usages())
def test_a_well_formed_block_gives_back_its_buckets(
    case: tuple[dict[str, Any], TokenBuckets],
) -> None:
    usage, truth = case

    assert buckets_from_openai_usage(usage) == (truth, [])


@given(odd_usages)
def test_buckets_always_sum_to_the_providers_totals(usage: dict[str, Any]) -> None:
    buckets, _ = buckets_from_openai_usage(usage)

    completion = usage.get("completion_tokens", 0)
    assert all(count >= 0 for count in buckets._asdict().values())
    assert buckets.total_input == usage["prompt_tokens"]
    assert buckets.total_output == max(
        completion, usage.get("total_tokens", 0) - usage["prompt_tokens"]
    )


def test_chat_with_every_detail() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "prompt_tokens": 1200,
            "completion_tokens": 350,
            "total_tokens": 1550,
            "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 100},
            "completion_tokens_details": {
                "reasoning_tokens": 200,
                "audio_tokens": 30,
                "accepted_prediction_tokens": 10,
                "rejected_prediction_tokens": 20,
            },
        }
    )

    assert buckets == TokenBuckets(
        input_tokens=300,
        cache_read_tokens=800,
        audio_input_tokens=100,
        output_tokens=120,
        reasoning_tokens=200,
        audio_output_tokens=30,
    )
    assert open_keys == []


def test_embeddings_have_input_only() -> None:
    buckets, open_keys = buckets_from_openai_usage({"prompt_tokens": 9, "total_tokens": 9})

    assert buckets == TokenBuckets(input_tokens=9)
    assert open_keys == []


def test_responses_names() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "input_tokens": 50,
            "input_tokens_details": {"cached_tokens": 20},
            "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 10},
            "total_tokens": 80,
        }
    )

    assert buckets == TokenBuckets(
        input_tokens=30, cache_read_tokens=20, output_tokens=20, reasoning_tokens=10
    )
    assert open_keys == []


def test_anthropics_input_leaves_the_cache_out() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 500,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 7,
        }
    )

    assert buckets == TokenBuckets(
        input_tokens=10,
        cache_read_tokens=500,
        cache_write_5m_tokens=100,
        cache_write_1h_tokens=200,
        output_tokens=7,
    )
    assert open_keys == []


def test_anthropics_thinking_is_reasoning() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 0,
            "output_tokens": 82,
            "output_tokens_details": {"thinking_tokens": 34},
        }
    )

    assert buckets == TokenBuckets(input_tokens=10, output_tokens=48, reasoning_tokens=34)
    assert open_keys == []


def test_cache_hits_named_beside_the_details_are_inside_the_prompt() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "prompt_tokens": 100,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens": 5,
            "total_tokens": 105,
        }
    )

    assert buckets == TokenBuckets(input_tokens=36, cache_read_tokens=64, output_tokens=5)
    assert open_keys == []


def test_reasoning_on_top_of_the_completion_is_counted_once() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 130,
            "completion_tokens_details": {"reasoning_tokens": 100},
        }
    )

    assert buckets == TokenBuckets(input_tokens=10, output_tokens=20, reasoning_tokens=100)
    assert open_keys == []


def test_an_unexplained_surplus_is_output_and_reported() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 75,
        }
    )

    assert buckets == TokenBuckets(input_tokens=10, output_tokens=20, reasoning_tokens=45)
    assert open_keys == ["total_tokens"]


def test_a_total_below_its_parts_is_reported() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 5,
        }
    )

    assert (buckets.total_input, buckets.total_output) == (10, 20)
    assert open_keys == ["total_tokens"]


def test_audio_that_was_read_from_the_cache_is_charged_as_cached() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "prompt_tokens": 100,
            "prompt_tokens_details": {
                "cached_tokens": 60,
                "audio_tokens": 80,
                "cached_tokens_details": {"audio_tokens": 50, "text_tokens": 10},
            },
        }
    )

    assert buckets == TokenBuckets(input_tokens=10, cache_read_tokens=60, audio_input_tokens=30)
    assert open_keys == []


def test_details_beyond_their_total_are_cut_the_cheapest_first() -> None:
    buckets, open_keys = buckets_from_openai_usage(
        {
            "prompt_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 90, "audio_tokens": 70},
            "completion_tokens": 10,
            "completion_tokens_details": {"reasoning_tokens": 11},
        }
    )

    assert buckets == TokenBuckets(cache_read_tokens=30, audio_input_tokens=70, reasoning_tokens=10)
    assert open_keys == [
        "cache_read_tokens exceeds its total",
        "reasoning_tokens exceeds its total",
    ]


def test_unknown_keys_that_count_are_reported_and_the_rest_is_not() -> None:
    _, open_keys = buckets_from_openai_usage(
        {
            "prompt_tokens": 1,
            "prompt_tokens_details": {"video_tokens": 5, "tool_tokens": 0},
            "num_sources_used": 3,
            "server_tool_use": {"web_search_requests": 2, "names": ["a"], "is_paid": True},
            "service_tier": "default",
            "queue_time": 0.4,
            "cost": 0.001,
            "extra": None,
        }
    )

    assert open_keys == [
        "num_sources_used",
        "server_tool_use.web_search_requests",
        "prompt_tokens_details.video_tokens",
    ]


def test_a_flood_of_unknown_keys_is_bounded() -> None:
    deep: dict[str, Any] = {"n": 1}
    for _ in range(900):
        deep = {"d": deep}
    flood = {f"{'k' * 500}{index}": 1 for index in range(500)}

    _, open_keys = buckets_from_openai_usage({"prompt_tokens": 1, "deep": deep, **flood})

    assert len(open_keys) == 32
    assert max(map(len, open_keys)) == 100


@pytest.mark.parametrize("value", [True, 1.0, -1, "12", [], 10**10])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_a_count_that_is_no_whole_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        buckets_from_openai_usage({"prompt_tokens": 1, name: value})


@pytest.mark.parametrize("value", [True, 1.5, -1, "12"])
def test_a_detail_that_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="cached_tokens"):
        buckets_from_openai_usage(
            {
                "prompt_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": value},
            }
        )


@pytest.mark.parametrize(
    "usage", [{}, {"completion_tokens": 3}, {"prompt_tokens": None}, None, [], "x",
              {"prompt_tokens": 1, "prompt_tokens_details": 5},
              {"prompt_tokens": 1, "cache_creation": "x"}]
)  # fmt: skip
def test_what_is_no_usage_block_is_refused(usage: Any) -> None:
    with pytest.raises(ValueError, match="usage"):
        buckets_from_openai_usage(usage)
