"""Answers POST /v1/completions, the API before chat, whole or streamed. Added by routes.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from proxy.providers.mock.errors import missing, wrong_type, wrong_value
from proxy.providers.mock.event_stream import EventStream
from proxy.providers.mock.exchange import Exchange, opened
from proxy.providers.mock.prompts import Prompt
from proxy.providers.mock.rendering import DONE, Event, Usage
from proxy.providers.mock.text import (
    count_tokens,
    digest_of,
    draw,
    first_tokens,
    make_tokens,
    make_words,
    split_tokens,
)
from proxy.providers.mock.validation import Field, check_fields, read_model, read_stop

MAX_PROMPTS = 128
MAX_CHOICES = 128
USUAL_LIMIT_TOKENS = 16
_FIRST_CREATED = 1_700_000_000
_NUMBER = (int, float)
_FIELDS = (
    Field("temperature", _NUMBER, "a decimal number", 0, 2),
    Field("top_p", _NUMBER, "a decimal number", 0, 1),
    Field("n", (int,), "an integer", 1, 128),
    Field("best_of", (int,), "an integer", 1, 20),
    Field("max_tokens", (int,), "an integer", 0, 1_000_000),
    Field("logprobs", (int,), "an integer", 0, 5),
    Field("echo", (bool,), "a boolean"),
    Field("stream", (bool,), "a boolean"),
    Field("stream_options", (dict,), "an object"),
    Field("suffix", (str,), "a string"),
    Field("stop", (str, list), "a string or an array of strings"),
)
# What changes an answer's shape or length but not its words.
_NOT_IN_SEED = frozenset({
    "prompt", "stream", "stream_options", "max_tokens", "n", "stop", "logprobs", "echo", "user",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of the answers; `shown` has the prompt before the text where `echo` asks for it."""

    index: int
    text: str
    shown: str
    finish_reason: str


@dataclass(frozen=True, slots=True)
class _Request:
    document: dict[str, Any]
    model: str
    prompts: list[str]
    prompt_tokens: int
    stops: tuple[str, ...]
    wants_usage: bool

    def envelope(self) -> dict[str, Any]:
        identity = digest_of(orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS))
        return {
            "id": f"cmpl-{identity.hex()}",
            "object": "text_completion",
            "created": _FIRST_CREATED + int.from_bytes(identity[:3], "little"),
            "model": self.model,
            "system_fingerprint": None,
        }


def add_text_completion_routes(app: web.Application) -> None:
    app.router.add_post("/v1/completions", answer_text_completion)


@opened
async def answer_text_completion(exchange: Exchange) -> web.StreamResponse:
    request = _read_request(exchange.document())
    choices = _compose(request, exchange)
    usage = _usage(request, choices, exchange)

    if request.document.get("stream"):

        def charge(tokens: int, is_complete: bool) -> None:
            exchange.call.charge(
                request.model, _with_output(usage, tokens), is_complete=is_complete
            )

        events = _events(request, choices, None if exchange.plan.garbage == "no-usage" else usage)
        return await EventStream(exchange, charge).send(events, DONE)
    is_complete = exchange.plan.garbage != "broken-json"
    exchange.call.charge(request.model, usage, is_complete=is_complete)
    data = [_choice_document(request, choice) for choice in choices]
    return exchange.json({**request.envelope(), "choices": data, "usage": _usage_document(usage)})


def _read_request(document: dict[str, Any]) -> _Request:
    model = read_model(document)
    check_fields(document, _FIELDS)
    options = document.get("stream_options")
    if options is not None and not document.get("stream"):
        raise wrong_value("stream_options", "it is only allowed when 'stream' is true.")
    prompts = _read_prompts(document)
    if len(prompts) * (document.get("n") or 1) > MAX_CHOICES:
        raise wrong_value("n", f"expected at most {MAX_CHOICES} choices over all prompts.")
    return _Request(
        document=document,
        model=model,
        prompts=[_shown(prompt) for prompt in prompts],
        prompt_tokens=sum(_tokens(prompt) for prompt in prompts),
        stops=read_stop(document),
        wants_usage=bool(options and options.get("include_usage") is True),
    )


def _read_prompts(document: dict[str, Any]) -> list[str | list[int]]:
    value = document.get("prompt")
    if value is None:
        raise missing("prompt")
    if isinstance(value, str) or (isinstance(value, list) and value and _is_tokens(value)):
        return [value]
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PROMPTS:
        raise wrong_value("prompt", f"expected a text or an array of 1 to {MAX_PROMPTS} prompts.")
    for index, item in enumerate(value):
        if not isinstance(item, str) and not _is_tokens(item):
            raise wrong_type(f"prompt[{index}]", "a string or an array of integers", item)
    return value


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _shown(prompt: str | list[int]) -> str:
    return prompt if isinstance(prompt, str) else " ".join(str(token) for token in prompt)


def _tokens(prompt: str | list[int]) -> int:
    return count_tokens(prompt) if isinstance(prompt, str) else len(prompt)


def _compose(request: _Request, exchange: Exchange) -> list[_Choice]:
    relevant = {key: value for key, value in request.document.items() if key not in _NOT_IN_SEED}
    options = orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS)
    each = request.document.get("n") or 1
    choices = []
    for position, prompt in enumerate(request.prompts):
        seed = digest_of(options, prompt.encode("utf-8", "surrogatepass"))
        for number in range(each):
            own_seed = digest_of(seed, number.to_bytes(2, "little"))
            choices.append(_choice(request, exchange, own_seed, (position * each + number, prompt)))
    return choices


def _choice(request: _Request, exchange: Exchange, seed: bytes, place: tuple[int, str]) -> _Choice:
    index, prompt = place
    wanted, reason = exchange.plan.output_tokens, "stop"
    if wanted is not None:
        text = make_tokens(seed, wanted)
    else:
        text = make_words(seed, 6 + draw(seed, "length", 12))
    ends = [at for stop in request.stops if (at := text.find(stop)) >= 0]
    text = text[: min(ends)] if ends else text
    limit = request.document.get("max_tokens")
    limit = USUAL_LIMIT_TOKENS if limit is None else limit
    if count_tokens(text) > limit:
        text, reason = first_tokens(text, limit), "length"
    shown = prompt + text if request.document.get("echo") else text
    return _Choice(index, text, shown, exchange.plan.finish_reason or reason)


def _usage(request: _Request, choices: list[_Choice], exchange: Exchange) -> Usage:
    state = exchange.call.state
    prompt = Prompt("\n".join(request.prompts), request.prompt_tokens, 0)
    cached_tokens = state.prompt_cache.match(exchange.call.owner(request.model), prompt)
    output_tokens = sum(count_tokens(choice.text) for choice in choices)
    usage = Usage(request.prompt_tokens, min(cached_tokens, request.prompt_tokens))
    return _with_output(usage, output_tokens)


def _with_output(usage: Usage, tokens: int) -> Usage:
    return Usage(usage.prompt_tokens, usage.cached_tokens, output_tokens=tokens)


def _usage_document(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _choice_document(request: _Request, choice: _Choice) -> dict[str, Any]:
    return {
        "text": choice.shown,
        "index": choice.index,
        "logprobs": _logprobs(request, choice.shown),
        "finish_reason": choice.finish_reason,
    }


def _logprobs(request: _Request, text: str) -> dict[str, Any] | None:
    others = request.document.get("logprobs")
    if others is None:
        return None
    tokens = split_tokens(text)
    values = [-digest_of(token.encode("utf-8", "surrogatepass"))[0] / 1000 for token in tokens]
    offsets, at = [], 0
    for token in tokens:
        offsets.append(at)
        at += len(token)
    tops = [{token: value} if others else {} for token, value in zip(tokens, values, strict=True)]
    return {
        "tokens": tokens,
        "token_logprobs": values,
        "top_logprobs": tops,
        "text_offset": offsets,
    }


def _events(request: _Request, choices: list[_Choice], usage: Usage | None) -> Iterator[Event]:
    """Yield every token as an event, an echoed prompt as one; the last says why it finished."""
    envelope = request.envelope()
    extra = {"usage": None} if request.wants_usage else {}

    def event(choice: _Choice, text: str, reason: str | None, tokens: int) -> Event:
        piece = {"text": text, "index": choice.index, "logprobs": _logprobs(request, text)}
        chunk = {**envelope, "choices": [{**piece, "finish_reason": reason}], **extra}
        return Event(_frame(chunk), tokens)

    for choice in choices:
        echoed = choice.shown[: len(choice.shown) - len(choice.text)]
        if echoed:
            yield event(choice, echoed, None, 0)
        for token in split_tokens(choice.text):
            yield event(choice, token, None, 1)
        yield event(choice, "", choice.finish_reason, 0)
    if request.wants_usage and usage is not None:
        yield Event(_frame({**envelope, "choices": [], "usage": _usage_document(usage)}), 0)


def _frame(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
