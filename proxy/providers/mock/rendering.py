"""Writes an answer as OpenAI's JSON or as its stream of events: pure. Called by chat.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import orjson

from proxy.providers.mock.completions import Answer, ChatRequest, Choice
from proxy.providers.mock.text import count_tokens, digest_of, split_tokens

DONE = b"data: [DONE]\n\n"
_FIRST_CREATED = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the mock bills them; the first counts all that came in."""

    prompt_tokens: int
    cached_tokens: int = 0
    audio_tokens: int = 0
    output_tokens: int = 0  # visible ones
    reasoning_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0

    @property
    def plain_tokens(self) -> int:
        """Text of the prompt that the cache neither gave nor took."""
        written = self.cache_write_5m_tokens + self.cache_write_1h_tokens
        return self.prompt_tokens - self.cached_tokens - self.audio_tokens - written

    def document(self) -> dict[str, Any]:
        completion_tokens = self.output_tokens + self.reasoning_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self.prompt_tokens + completion_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "audio_tokens": self.audio_tokens,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event and the visible tokens it carries."""

    data: bytes
    tokens: int


def envelope(request: ChatRequest, kind: str) -> dict[str, Any]:
    """Make the fields all chunks of one answer share; the id is a digest of the whole request."""
    identity = digest_of(orjson.dumps(request.document, option=orjson.OPT_SORT_KEYS))
    fingerprint = digest_of(request.model.encode(), str(request.document.get("seed")).encode())
    return {
        "id": f"chatcmpl-{identity.hex()}",
        "object": kind,
        "created": _FIRST_CREATED + int.from_bytes(identity[:3], "little"),
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": f"fp_{fingerprint.hex()[:10]}",
    }


def completion_document(
    request: ChatRequest, answer: Answer, usage: Usage | None
) -> dict[str, Any]:
    document = envelope(request, "chat.completion")
    document["choices"] = [_choice_document(request, choice) for choice in answer.choices]
    if usage is not None:
        document["usage"] = usage.document()
    return document


def _choice_document(request: ChatRequest, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.content,
        "refusal": choice.refusal,
        "annotations": [],
    }
    if choice.calls:
        message["tool_calls"] = [call.document() for call in choice.calls]
    return {
        "index": choice.index,
        "message": message,
        "logprobs": _logprobs(request, split_tokens(choice.content or "")),
        "finish_reason": choice.finish_reason,
    }


def _logprobs(request: ChatRequest, tokens: list[str]) -> dict[str, Any] | None:
    if not request.document.get("logprobs"):
        return None
    others = request.document.get("top_logprobs") or 0
    return {"content": [_logprob(token, others) for token in tokens], "refusal": None}


def _logprob(token: str, others: int) -> dict[str, Any]:
    first = -digest_of(token.encode("utf-8", "surrogatepass"))[0] / 1000
    top = [(token if rank == 0 else f" {rank}", first - rank) for rank in range(others)]
    tops = [_logprob_entry(text, value) for text, value in top]
    return {**_logprob_entry(token, first), "top_logprobs": tops}


def _logprob_entry(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode("utf-8", "surrogatepass"))}


class EventWriter:
    """Turns the deltas of one answer into events that share one envelope."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._envelope = envelope(request, "chat.completion.chunk")

    def events(self, answer: Answer) -> Iterator[Event]:
        """Yield the role, content and finish events; with n > 1 the choices take turns."""
        for choice in answer.choices:
            opening = {
                "role": "assistant",
                "content": None if choice.calls else "",
                "refusal": None,
            }
            yield self._event(choice, opening)
        for events in zip_longest(*(self._choice_events(choice) for choice in answer.choices)):
            yield from (event for event in events if event is not None)

    def usage_event(self, usage: Usage) -> bytes:
        return self._frame([], usage.document())

    def _choice_events(self, choice: Choice) -> Iterator[Event]:
        for token in split_tokens(choice.content or ""):
            yield self._event(choice, {"content": token}, tokens=1)
        for token in split_tokens(choice.refusal or ""):
            yield self._event(choice, {"refusal": token}, tokens=1)
        for index, call in enumerate(choice.calls):
            function = {"name": call.name, "arguments": ""}
            first = {"index": index, "id": call.id, "type": "function", "function": function}
            yield self._event(choice, {"tool_calls": [first]}, tokens=count_tokens(call.name))
            for token in split_tokens(call.arguments):
                fragment = {"index": index, "function": {"arguments": token}}
                yield self._event(choice, {"tool_calls": [fragment]}, tokens=1)
        yield self._event(choice, {}, finish_reason=choice.finish_reason)

    def _event(
        self,
        choice: Choice,
        delta: dict[str, Any],
        *,
        tokens: int = 0,
        finish_reason: str | None = None,
    ) -> Event:
        content = delta.get("content")
        fields = {
            "index": choice.index,
            "delta": delta,
            "logprobs": _logprobs(self._request, [content]) if content else None,
            "finish_reason": finish_reason,
        }
        return Event(self._frame([fields], None), tokens)

    def _frame(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        chunk = {**self._envelope, "choices": choices}
        if self._request.wants_usage:
            chunk["usage"] = usage
        return b"data: " + orjson.dumps(chunk) + b"\n\n"
