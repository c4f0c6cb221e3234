"""Google's generateContent and its relatives, as the pipeline reads them. Listed in table.py.

The model and whether it is a stream are in the path; routes.py reads them there.
"""

from collections.abc import Mapping
from typing import Any

from proxy.dialects.dialect import AnswerFacts, Dialect, StreamTap, objects_in, text_of, usage_of
from proxy.dialects.reading import Asked, count, message_list, optional_object
from proxy.streaming.gemini_tap import GeminiTap


def read_gemini_request(doc: dict[str, Any]) -> Asked:
    """Check a request for content."""
    message_list(doc, "contents", roles=False)
    config = optional_object(doc, "generationConfig")
    return Asked(
        max_output_tokens=count(config, "maxOutputTokens", 0),
        choices_n=count(config, "candidateCount", 1),
    )


def read_any_request(_: dict[str, Any]) -> Asked:
    """Let the provider check what is only passed on."""
    return Asked()


def read_gemini_answer(document: Mapping[str, Any]) -> AnswerFacts:
    """Read content, or the word that the prompt was blocked."""
    is_blocked = isinstance(document.get("promptFeedback"), dict)
    if not isinstance(document.get("candidates"), list) and not is_blocked:
        raise ValueError("no candidates")
    return AnswerFacts(
        model=text_of(document.get("modelVersion")),
        finish_reasons=[
            text_of(each.get("finishReason")) for each in objects_in(document.get("candidates"))
        ],
        usage=usage_of(document.get("usageMetadata")),
    )


def read_count(document: Mapping[str, Any]) -> AnswerFacts:
    """Read a token count."""
    if not isinstance(document.get("totalTokens"), int):
        raise ValueError("no count")
    return AnswerFacts()


def read_embedding(document: Mapping[str, Any]) -> AnswerFacts:
    """Read one embedding or a batch; Google tells no usage of most models, so it stays unknown."""
    if not any(
        isinstance(document.get(name), (dict, list)) for name in ("embedding", "embeddings")
    ):
        raise ValueError("no embedding")
    return AnswerFacts(usage=usage_of(document.get("usageMetadata")))


def gemini_ending(tap: StreamTap) -> Mapping[str, Any]:
    """Return what a stream's endings say."""
    reasons = tap.finish_reasons
    return {"candidates": [{"finishReason": reasons[number]} for number in reasons]}


GEMINI = Dialect(
    endpoint="gemini",
    read_request=read_gemini_request,
    read_answer=read_gemini_answer,
    open_tap=lambda _, keeps: GeminiTap(keeps_bytes_limit=keeps),
    ending=gemini_ending,
    error_shape="gemini",
    names_model=False,
)
GEMINI_COUNT = Dialect(
    endpoint="gemini_count",
    read_request=read_any_request,
    read_answer=read_count,
    error_shape="gemini",
    names_model=False,
    is_free=True,
)
GEMINI_EMBED = Dialect(
    endpoint="gemini_embed",
    read_request=read_any_request,
    read_answer=read_embedding,
    error_shape="gemini",
    names_model=False,
)
GEMINI_BATCH_EMBED = Dialect(
    endpoint="gemini_batch_embed",
    read_request=read_any_request,
    read_answer=read_embedding,
    error_shape="gemini",
    names_model=False,
)
