"""Recognises a usage block of any dialect by its keys and splits it into token buckets (pure).

Called by the proxy for every answer; see ledger.usage_units for what is not paid by token.
"""

from collections.abc import Mapping
from typing import Any

from ledger.bedrock_usage import INPUT as BEDROCK_INPUT
from ledger.bedrock_usage import buckets_from_bedrock_usage
from ledger.gemini_usage import PROMPT as GEMINI_PROMPT
from ledger.gemini_usage import buckets_from_gemini_usage
from ledger.token_buckets import TokenBuckets, buckets_from_openai_usage
from ledger.usage_units import FREE_PATHS, UNIT_PATHS, is_duration

_ELSEWHERE = UNIT_PATHS | FREE_PATHS


def buckets_from_usage(usage: Mapping[str, Any]) -> tuple[TokenBuckets, list[str]]:
    """Disjoint buckets that sum to the provider's totals, and the keys they leave open.

    OpenAI (chat, embeddings, responses, images, transcription, realtime), Anthropic, Gemini and
    Bedrock Converse. Call `units_from_usage` too: what it counts is not among the open keys.
    ValueError: no usage block of any of them, or a count that is not a whole number up to 10^9.
    """
    if not isinstance(usage, Mapping):
        raise ValueError("usage is not an object")
    if GEMINI_PROMPT in usage:
        return buckets_from_gemini_usage(usage)
    if BEDROCK_INPUT in usage:
        return buckets_from_bedrock_usage(usage)
    if is_duration(usage):
        return TokenBuckets(), []
    buckets, open_keys = buckets_from_openai_usage(_with_image_output(usage))
    return buckets, [key for key in open_keys if key not in _ELSEWHERE]


def _with_image_output(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """The images API says what went in as text and image; all that came out is image tokens.

    Its input details alone have images and nothing cached, which tells it from the others.
    """
    details = usage.get("input_tokens_details")
    if not isinstance(details, Mapping) or "output_tokens_details" in usage:
        return usage
    if "image_tokens" not in details or "cached_tokens" in details:
        return usage
    return {**usage, "output_tokens_details": {"image_tokens": usage.get("output_tokens")}}


def tier_from_usage(usage: Mapping[str, Any]) -> str:
    """The tier that was served where the usage block says it, else "".

    Anthropic's speed goes before its service_tier, for it has prices of its own.
    """
    speed = usage.get("speed")
    words = ("fast" if speed == "fast" else None, usage.get("service_tier"),
             usage.get("serviceTier"), usage.get("trafficType"))  # fmt: skip
    return next((word for word in words if isinstance(word, str) and word), "")
