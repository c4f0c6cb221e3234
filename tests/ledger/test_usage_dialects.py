"""Every dialect is told by its keys; published payloads, their origin noted."""

from typing import Any

import pytest

from ledger.token_buckets import TokenBuckets
from ledger.usage_dialects import buckets_from_usage, tier_from_usage


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        # The example response of OpenAI's API reference, chat completions.
        ({"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
          "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
          "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
                                        "accepted_prediction_tokens": 0,
                                        "rejected_prediction_tokens": 0}},
         TokenBuckets(input_tokens=19, output_tokens=10)),
        # OpenAI's API reference, responses.
        ({"input_tokens": 36, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 87,
          "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 123},
         TokenBuckets(input_tokens=36, output_tokens=87)),
        # OpenAI's API reference, images: all that comes out is image tokens.
        ({"total_tokens": 100, "input_tokens": 50, "output_tokens": 50,
          "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}},
         TokenBuckets(input_tokens=10, image_input_tokens=40, image_output_tokens=50)),
        # OpenAI's API reference, transcription, by tokens and by duration.
        ({"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59,
          "input_token_details": {"text_tokens": 0, "audio_tokens": 14}},
         TokenBuckets(audio_input_tokens=14, output_tokens=45)),
        ({"type": "duration", "seconds": 12}, TokenBuckets()),
        # Anthropic's documentation of prompt caching.
        ({"input_tokens": 2048, "cache_read_input_tokens": 1800,
          "cache_creation_input_tokens": 248, "output_tokens": 503,
          "cache_creation": {"ephemeral_5m_input_tokens": 148,
                             "ephemeral_1h_input_tokens": 100}},
         TokenBuckets(2048, 1800, 148, 100, output_tokens=503)),
        # Anthropic's documentation of the web search tool.
        ({"input_tokens": 105, "output_tokens": 6039, "cache_read_input_tokens": 7123,
          "cache_creation_input_tokens": 7345, "service_tier": "standard",
          "server_tool_use": {"web_search_requests": 1}},
         TokenBuckets(105, 7123, 7345, output_tokens=6039)),
        # Google's reference of UsageMetadata.
        ({"promptTokenCount": 8, "candidatesTokenCount": 100, "thoughtsTokenCount": 50,
          "totalTokenCount": 158,
          "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}]},
         TokenBuckets(input_tokens=8, output_tokens=100, reasoning_tokens=50)),
        # AWS's reference of Converse.
        ({"inputTokens": 30, "outputTokens": 628, "totalTokens": 658},
         TokenBuckets(input_tokens=30, output_tokens=628)),
    ],
)  # fmt: skip
def test_published_payloads(usage: dict[str, Any], buckets: TokenBuckets) -> None:
    assert buckets_from_usage(usage) == (buckets, [])


def test_what_units_count_is_not_left_open_and_the_rest_is() -> None:
    usage = {
        "input_tokens": 1,
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 2, "spells": 3},
    }
    assert buckets_from_usage(usage)[1] == ["server_tool_use.spells"]


@pytest.mark.parametrize("usage", [{}, {"tokens": 3}, None, [], "x"])
def test_what_no_dialect_knows_is_refused(usage: Any) -> None:
    with pytest.raises(ValueError, match="usage"):
        buckets_from_usage(usage)


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"service_tier": "batch"}, "batch"),
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"service_tier": None, "speed": "standard"}, ""),
        ({"trafficType": "ON_DEMAND_FLEX"}, "ON_DEMAND_FLEX"),
        ({"service_tier": {"type": "x"}}, ""),
        ({}, ""),
    ],
)
def test_the_tier_a_usage_block_tells(usage: dict[str, Any], tier: str) -> None:
    assert tier_from_usage(usage) == tier
