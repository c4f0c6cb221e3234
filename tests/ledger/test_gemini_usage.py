"""Gemini's usageMetadata becomes disjoint buckets that keep its totals."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.gemini_usage import buckets_from_gemini_usage
from ledger.token_buckets import TokenBuckets

counts = st.integers(0, 200_000)


def modalities(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": kind.upper(), "tokenCount": count} for kind, count in tokens.items()]


NAMES = ("text", "cached", "audio", "image", "tool", "answer", "thoughts", "spoken", "drawn")


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, counts)))
def test_a_well_formed_block_gives_back_its_buckets(split: dict[str, int]) -> None:
    text, cached, audio, image, tool, answer, thoughts, spoken, drawn = (
        split[name] for name in NAMES
    )
    usage = {
        "promptTokenCount": text + cached + audio + image,
        "cachedContentTokenCount": cached,
        "promptTokensDetails": modalities(text=text + cached, audio=audio, image=image),
        "cacheTokensDetails": modalities(text=cached),
        "toolUsePromptTokenCount": tool,
        "candidatesTokenCount": answer + spoken + drawn,
        "candidatesTokensDetails": modalities(text=answer, audio=spoken, image=drawn),
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": sum(split.values()),
        "trafficType": "ON_DEMAND",
    }
    expected = TokenBuckets(
        input_tokens=text + tool,
        cache_read_tokens=cached,
        audio_input_tokens=audio,
        image_input_tokens=image,
        output_tokens=answer,
        reasoning_tokens=thoughts,
        audio_output_tokens=spoken,
        image_output_tokens=drawn,
    )

    assert buckets_from_gemini_usage(usage) == (expected, [])


@given(
    st.fixed_dictionaries(
        {"promptTokenCount": counts},
        optional={
            "cachedContentTokenCount": counts,
            "toolUsePromptTokenCount": counts,
            "candidatesTokenCount": counts,
            "thoughtsTokenCount": counts,
            "totalTokenCount": counts,
            "promptTokensDetails": counts.map(lambda n: modalities(audio=n, video=n)),
        },
    )
)
def test_buckets_always_sum_to_the_providers_totals(usage: dict[str, Any]) -> None:
    buckets, _ = buckets_from_gemini_usage(usage)

    parts = usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0)
    made = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    assert min(buckets) >= 0
    assert buckets.total_input == parts
    assert buckets.total_output == max(made, usage.get("totalTokenCount", 0) - parts)


def test_cached_audio_is_charged_as_cached_and_video_as_images() -> None:
    usage = {
        "promptTokenCount": 100, "cachedContentTokenCount": 60,
        "promptTokensDetails": modalities(text=10, audio=70, video=20),
        "cacheTokensDetails": modalities(audio=60),
    }  # fmt: skip

    assert buckets_from_gemini_usage(usage)[0] == TokenBuckets(
        input_tokens=10, cache_read_tokens=60, audio_input_tokens=10, image_input_tokens=20
    )


def test_an_unknown_modality_and_an_unknown_count_are_reported() -> None:
    usage = {
        "promptTokenCount": 9, "smellTokenCount": 4,
        "promptTokensDetails": modalities(smell=4, text=5),
    }  # fmt: skip

    buckets, open_keys = buckets_from_gemini_usage(usage)
    assert buckets == TokenBuckets(input_tokens=9)
    assert open_keys == ["smellTokenCount", "promptTokensDetails.SMELL"]


@pytest.mark.parametrize(
    "usage",
    [
        {}, {"promptTokenCount": -1}, {"promptTokenCount": 1, "thoughtsTokenCount": "2"},
        {"promptTokenCount": 1, "promptTokensDetails": {}, "cacheTokensDetails": "x"},
        {"promptTokenCount": 1, "promptTokensDetails": [3]},
        {"promptTokenCount": 1, "promptTokensDetails": [{"tokenCount": 2.5}]},
        {"promptTokenCount": 1, "promptTokensDetails": modalities(text=1) * 33},
    ],
)  # fmt: skip
def test_what_is_no_usage_block_is_refused(usage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"usage|count|Details"):
        buckets_from_gemini_usage(usage)
