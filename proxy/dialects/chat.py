"""OpenAI's chat completions and embeddings, as the pipeline reads them. Listed in table.py."""

from collections.abc import Mapping
from typing import Any

from proxy.dialects.dialect import AnswerFacts, Dialect, StreamTap, objects_in, text_of, usage_of
from proxy.dialects.reading import (
    Asked,
    count,
    flag,
    message_list,
    optional_object,
    optional_text,
    text_or_list,
)
from proxy.streaming.replay import DONE_EVENT
from proxy.streaming.tap import ChatStreamTap

CHECKED_FIELDS = frozenset({"user", "safety_identifier"})


def read_chat_request(doc: dict[str, Any]) -> Asked:
    """Check a chat completion request."""
    message_list(doc)
    if not CHECKED_FIELDS.isdisjoint(doc):
        _subjects(doc)
    if "stream_options" in doc:
        asked_usage = optional_object(doc, "stream_options").get("include_usage") is True
    else:
        asked_usage = False
    return Asked(
        flag(doc, "stream"),
        asked_usage,
        max(count(doc, "max_tokens", 0), count(doc, "max_completion_tokens", 0)),
        count(doc, "n", 1),
    )


def read_embeddings_request(doc: dict[str, Any]) -> Asked:
    """Check an embeddings request."""
    text_or_list(doc, "input", "the text to embed")
    _subjects(doc)
    return Asked(choices_n=count(doc, "n", 1))


def _subjects(doc: dict[str, Any]) -> None:
    for name in ("user", "safety_identifier"):
        optional_text(doc, name)


def read_chat_answer(document: Mapping[str, Any]) -> AnswerFacts:
    """Read a chat completion, or a legacy one: official clients index `choices` unasked."""
    if not isinstance(document.get("choices"), list):
        raise ValueError("no choices")
    return AnswerFacts(
        model=text_of(document.get("model")),
        service_tier=text_of(document.get("service_tier")),
        finish_reasons=[
            text_of(choice.get("finish_reason")) for choice in objects_in(document["choices"])
        ],
        usage=usage_of(document.get("usage")),
    )


def chat_ending(tap: StreamTap) -> Mapping[str, Any]:
    """Return what a stream's endings say."""
    return {"choices": [{"finish_reason": tap.finish_reasons[n]} for n in tap.finish_reasons]}


def read_embeddings_answer(document: Mapping[str, Any]) -> AnswerFacts:
    """Read a list of embeddings."""
    if not isinstance(document.get("data"), list):
        raise ValueError("no data")
    return AnswerFacts(
        model=text_of(document.get("model")),
        service_tier=text_of(document.get("service_tier")),
        usage=usage_of(document.get("usage")),
    )


CHAT = Dialect(
    endpoint="chat",
    read_request=read_chat_request,
    read_answer=read_chat_answer,
    open_tap=lambda strips, keeps: ChatStreamTap(strips_usage=strips, keeps_bytes_limit=keeps),
    output_bounds=("max_completion_tokens", "max_tokens"),
    ending=chat_ending,
    usage_is_asked_for=True,
    has_twins=True,
    replay_end=DONE_EVENT,
)
EMBEDDINGS = Dialect(
    endpoint="embeddings",
    read_request=read_embeddings_request,
    read_answer=read_embeddings_answer,
)
