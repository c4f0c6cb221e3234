"""Anthropic's Messages and its token count, as the pipeline reads them. Listed in table.py."""

from collections.abc import Mapping
from typing import Any

from proxy.dialects.dialect import AnswerFacts, Dialect, StreamTap, text_of, usage_of
from proxy.dialects.reading import Asked, count, flag, message_list
from proxy.streaming.messages_tap import MessagesTap


def read_messages_request(doc: dict[str, Any]) -> Asked:
    """Check a request for a message."""
    message_list(doc)
    return Asked(is_streaming=flag(doc, "stream"), max_output_tokens=count(doc, "max_tokens", 0))


def read_count_request(doc: dict[str, Any]) -> Asked:
    """Check a request for a token count."""
    message_list(doc)
    return Asked()


def read_message(document: Mapping[str, Any]) -> AnswerFacts:
    """Read a message; its container can be named in later requests, so it must have an owner."""
    if document.get("type") != "message" or not isinstance(document.get("content"), list):
        raise ValueError("no message")
    usage = usage_of(document.get("usage"))
    container = document.get("container")
    named = text_of(container.get("id")) if isinstance(container, dict) else ""
    return AnswerFacts(
        model=text_of(document.get("model")),
        service_tier=text_of((usage or {}).get("service_tier")),
        finish_reasons=[text_of(document.get("stop_reason"))],
        usage=usage,
        object_ids=(named,) if named else (),
    )


def read_count(document: Mapping[str, Any]) -> AnswerFacts:
    """Read a token count."""
    if not isinstance(document.get("input_tokens"), int):
        raise ValueError("no count")
    return AnswerFacts()


def message_ending(tap: StreamTap) -> Mapping[str, Any]:
    """Return what a stream's end says."""
    content = ["told"] if tap.has_events else []
    return {"type": "message", "stop_reason": tap.finish_reasons.get(0), "content": content}


MESSAGES = Dialect(
    endpoint="messages",
    read_request=read_messages_request,
    read_answer=read_message,
    open_tap=lambda _, keeps: MessagesTap(keeps_bytes_limit=keeps),
    ending=message_ending,
    error_shape="anthropic",
    output_bounds=("max_tokens",),
)
COUNT_TOKENS = Dialect(
    endpoint="count_tokens",
    read_request=read_count_request,
    read_answer=read_count,
    error_shape="anthropic",
    is_free=True,
)
