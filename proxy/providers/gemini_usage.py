"""Turns Gemini's usageMetadata into a chat usage block; used for answers, streams and embeddings.

Google counts thoughts apart from the answer, and what its own tools read apart from the prompt;
OpenAI counts both in. The cached tokens are inside the prompt for both.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.translation import Document

_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}


def chat_usage(metadata: Any) -> Document | None:
    """Return the usage block; None when the prompt was not counted: unknown is never zero.

    Google leaves out counts that are zero, so an absent one beside the prompt's is a zero.
    """
    if not isinstance(metadata, dict) or not _is_count(metadata.get("promptTokenCount")):
        return None
    prompt = _count(metadata, "promptTokenCount") + _count(metadata, "toolUsePromptTokenCount")
    thoughts = _count(metadata, "thoughtsTokenCount")
    completion = _count(metadata, "candidatesTokenCount") + thoughts
    total = metadata.get("totalTokenCount")
    inputs = _by_modality(metadata, "promptTokensDetails", "toolUsePromptTokensDetails")
    cached = _by_modality(metadata, "cacheTokensDetails")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        # Google's own total where it gives one: a surplus there is a token nobody else counted.
        "total_tokens": total if _is_count(total) else prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": _count(metadata, "cachedContentTokenCount"),
            **inputs,
            **({"cached_tokens_details": cached} if any(cached.values()) else {}),
        },
        "completion_tokens_details": {
            "reasoning_tokens": thoughts,
            **_by_modality(metadata, "candidatesTokensDetails"),
        },
    }


def embeddings_usage(metadata: Any) -> Document | None:
    """Return the usage block of an embeddings answer; None when there is no count."""
    if not isinstance(metadata, dict) or not _is_count(metadata.get("promptTokenCount")):
        return None
    tokens = metadata["promptTokenCount"]
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def service_tier(metadata: Any) -> str | None:
    """Return the tier served, in OpenAI's word; None when the answer does not tell."""
    tier = metadata.get("serviceTier") if isinstance(metadata, dict) else None
    return _TIERS.get(tier.lower()) if isinstance(tier, str) else None


def _by_modality(metadata: Mapping[str, Any], *names: str) -> Document:
    """Sum the tokens that are priced apart: those of sound and those of pictures."""
    sums = {"audio_tokens": 0, "image_tokens": 0}
    for name in names:
        details = metadata.get(name)
        for detail in details if isinstance(details, list) else ():
            modality = detail.get("modality") if isinstance(detail, Mapping) else None
            key = f"{str(modality).lower()}_tokens"
            if key in sums:
                sums[key] += _count(detail, "tokenCount")
    return sums


def _count(holder: Mapping[str, Any], name: str) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) and _is_count(value) else 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
