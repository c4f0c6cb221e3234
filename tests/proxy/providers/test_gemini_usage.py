"""Gemini's counts as chat usage, and as the ledger's buckets: no token lost, none counted twice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.token_buckets import TokenBuckets, buckets_from_openai_usage
from proxy.providers.gemini_usage import chat_usage, embeddings_usage, service_tier
from tests.proxy.providers.gemini_goldens import golden, goldens


@pytest.mark.parametrize("exchange", [g for g in goldens("answers") if g.id != "blocked"])
def test_ledger_reads_every_golden_usage_without_a_doubt(exchange: dict[str, Any]) -> None:
    buckets, doubts = buckets_from_openai_usage(exchange["chat"]["usage"])
    assert not doubts
    total = exchange["gemini"]["usageMetadata"]["totalTokenCount"]
    assert buckets.total_input + buckets.total_output == total


def test_each_modality_has_its_bucket() -> None:
    usage = chat_usage(golden("answers", "everything")["gemini"]["usageMetadata"])
    assert usage is not None
    buckets, _ = buckets_from_openai_usage(usage)
    assert buckets == TokenBuckets(
        input_tokens=1050 - 400 - 200 - 258,  # text that was neither cached nor sound nor picture
        cache_read_tokens=400,
        audio_input_tokens=200,  # 300, of which 100 were cached
        image_input_tokens=258,
        output_tokens=10,
        reasoning_tokens=70,
        image_output_tokens=1290,
    )


@pytest.mark.parametrize(
    "metadata",
    [None, {}, [], "7", {"totalTokenCount": 5}, {"promptTokenCount": "5"}, {"promptTokenCount": -1},
     {"promptTokenCount": True}, {"promptTokenCount": None}],
)  # fmt: skip
def test_uncounted_is_unknown_and_not_zero(metadata: Any) -> None:
    assert chat_usage(metadata) is None
    assert embeddings_usage(metadata) is None


def test_counts_that_are_none_are_left_out() -> None:
    usage = chat_usage(
        {
            "promptTokenCount": 3,
            "candidatesTokenCount": "many",
            "promptTokensDetails": [None, {"modality": "AUDIO"}, {"modality": 5, "tokenCount": 2}],
            "cacheTokensDetails": {"modality": "TEXT"},
        }
    )
    assert usage is not None
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 0, 3)


@given(*(st.integers(0, 10**6) for _ in range(4)), st.integers(0, 10**6))
def test_sums(prompt: int, tools: int, answer: int, thoughts: int, cached: int) -> None:
    cached = min(cached, prompt)
    usage = chat_usage(
        {
            "promptTokenCount": prompt,
            "toolUsePromptTokenCount": tools,
            "candidatesTokenCount": answer,
            "thoughtsTokenCount": thoughts,
            "cachedContentTokenCount": cached,
            "totalTokenCount": prompt + tools + answer + thoughts,
        }
    )
    assert usage is not None
    buckets, doubts = buckets_from_openai_usage(usage)
    assert not doubts
    assert buckets.total_input == prompt + tools
    assert buckets.cache_read_tokens == cached
    assert (buckets.output_tokens, buckets.reasoning_tokens) == (answer, thoughts)


@pytest.mark.parametrize(
    ("metadata", "tier"),
    [({"serviceTier": "STANDARD"}, "default"), ({"serviceTier": "priority"}, "priority"),
     ({"serviceTier": "new"}, None), ({"serviceTier": 1}, None), ({}, None), (None, None)],
)  # fmt: skip
def test_tier(metadata: Any, tier: str | None) -> None:
    assert service_tier(metadata) == tier
