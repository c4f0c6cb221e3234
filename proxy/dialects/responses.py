"""OpenAI's Responses and their token count, as the pipeline reads them. Listed in table.py.

What is done to a kept response by its id (GET, cancel, DELETE) is proxy.resources' matter.
"""

from collections.abc import Mapping
from typing import Any

from proxy.dialects.dialect import AnswerFacts, Dialect, StreamTap
from proxy.dialects.reading import Asked, count, flag, optional_text
from proxy.errors import InvalidRequestError
from proxy.streaming.responses_reading import read_response_document
from proxy.streaming.responses_tap import ResponsesTap

PENDING = frozenset({"queued", "in_progress"})


def read_responses_request(doc: dict[str, Any]) -> Asked:
    """Check a request for a response; an input may come from its prompt or its conversation."""
    _check_input(doc)
    flag(doc, "background")
    flag(doc, "store")
    for name in ("user", "safety_identifier", "previous_response_id"):
        optional_text(doc, name)
    return Asked(
        is_streaming=flag(doc, "stream"), max_output_tokens=count(doc, "max_output_tokens", 0)
    )


def read_input_count_request(doc: dict[str, Any]) -> Asked:
    """Check a request for an input's token count."""
    _check_input(doc)
    return Asked()


def _check_input(doc: dict[str, Any]) -> None:
    if not isinstance(doc.get("input"), str | list | None):
        raise InvalidRequestError(
            "The field input must be a string or a list.", "Send text or items.", param="input"
        )


def read_response(document: Mapping[str, Any]) -> AnswerFacts:
    """Read a response, finished or begun."""
    if document.get("object") != "response" or not isinstance(document.get("output"), list):
        raise ValueError("no response")
    reading = read_response_document(dict(document))
    return AnswerFacts(
        model=reading.model,
        service_tier=reading.service_tier,
        finish_reasons=list(reading.finish_reasons.values()),
        usage=reading.usage,
        units=reading.units,
        object_ids=kept_ids(document, reading.object_ids),
        is_pending=document.get("status") in PENDING,
    )


def kept_ids(document: Mapping[str, Any], ids: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ids that lead anywhere: a response that is not stored is gone with its answer."""
    is_stored = document.get("store") is not False
    return tuple(name for name, kind in ids.items() if is_stored or kind != "response")


def read_input_count(document: Mapping[str, Any]) -> AnswerFacts:
    """Read a token count."""
    if not isinstance(document.get("input_tokens"), int):
        raise ValueError("no count")
    return AnswerFacts()


def response_ending(tap: StreamTap) -> Mapping[str, Any]:
    """Return the whole response that a stream's last event carried."""
    return tap.document if isinstance(tap, ResponsesTap) else {}


RESPONSES = Dialect(
    endpoint="responses",
    read_request=read_responses_request,
    read_answer=read_response,
    open_tap=lambda _, keeps: ResponsesTap(keeps_bytes_limit=keeps),
    ending=response_ending,
    error_shape="responses",
    output_bounds=("max_output_tokens",),
)
INPUT_TOKENS = Dialect(
    endpoint="input_tokens",
    read_request=read_input_count_request,
    read_answer=read_input_count,
    is_free=True,
)
