"""Composes a chat completion: pure, from the request alone. Called by chat.py.

The same request always gives the same words, streamed or not; a limit or a stop sequence only
cuts them short.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers.mock.errors import MockError, wrong_value
from proxy.providers.mock.prompts import Prompt, measure_prompt
from proxy.providers.mock.schemas import make_instance
from proxy.providers.mock.text import (
    count_tokens,
    digest_of,
    draw,
    first_tokens,
    make_tokens,
    make_words,
)
from proxy.providers.mock.tools import ToolCall, choose_calls, read_functions
from proxy.providers.mock.validation import (
    CHAT_FIELDS,
    check_fields,
    parse_body,
    read_messages,
    read_model,
    read_stop,
)

_REASONING_MODEL = re.compile(r"(o\d|gpt-5)")
_EFFORT_STEPS = {"none": 0, "minimal": 0, "low": 1, "medium": 3, "high": 6, "xhigh": 9}
REASONING_STEP_TOKENS = 64
# What changes an answer's shape or length but not its words.
_NOT_IN_SEED = frozenset({
    "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "stop", "logprobs",
    "top_logprobs", "user", "safety_identifier", "metadata", "store", "service_tier",
    "prompt_cache_key", "prompt_cache_retention",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request; `seed` is what its words are drawn from."""

    document: dict[str, Any]
    model: str
    functions: dict[str, dict[str, Any]]
    stops: tuple[str, ...]
    prompt: Prompt
    seed: bytes
    is_streaming: bool
    wants_usage: bool
    limit_tokens: int | None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What x-mock-* headers ask of the content of an answer."""

    output_tokens: int | None = None
    finish_reason: str | None = None
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the n answers: a text, a refusal or tool calls."""

    index: int
    content: str | None
    refusal: str | None
    calls: tuple[ToolCall, ...]
    finish_reason: str

    def count_tokens(self) -> int:
        text = self.content or self.refusal or ""
        return count_tokens(text) + sum(call.count_tokens() for call in self.calls)


@dataclass(frozen=True, slots=True)
class Answer:
    """The choices of one completion; reasoning tokens are the sum over its choices."""

    choices: tuple[Choice, ...]
    reasoning_tokens: int


def read_chat_request(body: bytes) -> ChatRequest:
    document = parse_body(body)
    model = read_model(document)
    messages = read_messages(document)
    check_fields(document, CHAT_FIELDS)
    is_streaming = document.get("stream") is True
    _check_together(document, model, messages, is_streaming=is_streaming)
    options = document.get("stream_options") or {}
    relevant = {key: value for key, value in document.items() if key not in _NOT_IN_SEED}
    return ChatRequest(
        document=document,
        model=model,
        functions=read_functions(document),
        stops=read_stop(document),
        prompt=measure_prompt(document),
        seed=digest_of(orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS)),
        is_streaming=is_streaming,
        wants_usage=options.get("include_usage") is True,
        limit_tokens=document.get("max_completion_tokens") or document.get("max_tokens"),
    )


def is_reasoning(model: str) -> bool:
    return _REASONING_MODEL.match(model) is not None


def _check_together(
    document: dict[str, Any], model: str, messages: list[dict[str, Any]], *, is_streaming: bool
) -> None:
    """Refuse parameters that are fine alone but not in this company."""
    if document.get("stream_options") is not None and not is_streaming:
        raise wrong_value("stream_options", "it is only allowed when 'stream' is true.")
    if document.get("top_logprobs") is not None and not document.get("logprobs"):
        raise wrong_value("top_logprobs", "it is only allowed when 'logprobs' is true.")
    if document.get("max_tokens") is not None and is_reasoning(model):
        message = "'max_tokens' is not supported with this model: use 'max_completion_tokens'."
        raise MockError(message, param="max_tokens", code="unsupported_parameter")
    _check_format(document.get("response_format"), messages)


def _check_format(wanted: dict[str, Any] | None, messages: list[dict[str, Any]]) -> None:
    kind = (wanted or {"type": "text"}).get("type")
    if kind not in {"text", "json_object", "json_schema"}:
        raise wrong_value("response_format.type", "expected text, json_object or json_schema.")
    if kind == "json_object" and b"json" not in orjson.dumps(messages).lower():
        raise wrong_value("messages", "the word 'json' must occur in them for JSON mode.")
    if wanted and kind == "json_schema":
        holder = wanted.get("json_schema")
        if not isinstance(holder, dict) or not isinstance(holder.get("name"), str):
            raise wrong_value("response_format.json_schema", "expected an object with a 'name'.")
        if not isinstance(holder.get("schema", {}), dict):
            raise wrong_value("response_format.json_schema.schema", "expected an object.")


def compose(request: ChatRequest, wishes: Wishes) -> Answer:
    """Compose every choice of the answer, limits and stops applied."""
    thinking = _reasoning_tokens(request)
    limit = request.limit_tokens
    if limit is not None:
        thinking = min(thinking, limit)
        limit -= thinking
    count = request.document.get("n") or 1
    choices = tuple(_compose_choice(request, wishes, index, limit) for index in range(count))
    return Answer(choices, thinking * count)


def _reasoning_tokens(request: ChatRequest) -> int:
    if not is_reasoning(request.model):
        return 0
    steps = _EFFORT_STEPS.get(request.document.get("reasoning_effort") or "medium", 3)
    return REASONING_STEP_TOKENS * (steps + draw(request.seed, "reasoning", 3) if steps else 0)


def _compose_choice(request: ChatRequest, wishes: Wishes, index: int, limit: int | None) -> Choice:
    seed = digest_of(request.seed, index.to_bytes(2, "little"))
    if wishes.is_refusal:
        refusal = "I'm unable to help with that. (Simulated refusal.)"
        choice = Choice(index, None, refusal, (), "stop")
    elif calls := choose_calls(request.document, request.functions, seed):
        choice = Choice(index, None, None, tuple(calls), "tool_calls")
    else:
        choice = Choice(index, _text(request, wishes, seed), None, (), "stop")
    if limit is not None and choice.count_tokens() > limit:
        choice = _cut(choice, limit)
    if wishes.finish_reason:
        choice = Choice(index, choice.content, choice.refusal, choice.calls, wishes.finish_reason)
    return choice


def _text(request: ChatRequest, wishes: Wishes, seed: bytes) -> str:
    wanted = request.document.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        text = _json(make_instance(wanted["json_schema"].get("schema") or {}, seed))
    elif wanted.get("type") == "json_object":
        text = _json({"answer": make_words(seed, 8), "is_simulated": True})
    elif wishes.output_tokens is not None:
        text = make_tokens(seed, wishes.output_tokens)
    else:
        words = make_words(seed, 12 + draw(seed, "length", 24))
        text = f"{words} (Simulated: the mock provider plays {request.model}.)"
    ends = [at for stop in request.stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _cut(choice: Choice, limit: int) -> Choice:
    if choice.calls:
        return Choice(choice.index, None, None, tuple(_cut_calls(choice.calls, limit)), "length")
    content = None if choice.content is None else first_tokens(choice.content, limit)
    refusal = None if choice.refusal is None else first_tokens(choice.refusal, limit)
    return Choice(choice.index, content, refusal, (), "length")


def _cut_calls(calls: tuple[ToolCall, ...], limit: int) -> list[ToolCall]:
    kept = []
    for call in calls:
        if limit <= count_tokens(call.name):
            break
        kept.append(call.cut(limit))
        limit -= kept[-1].count_tokens()
    return kept
