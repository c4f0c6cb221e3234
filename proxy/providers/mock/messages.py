"""The mock's Anthropic side: POST /v1/messages, streamed or not, and its count_tokens.

Added to the server by app.py. The x-mock-* headers mean here what they mean for chat.
"""

import asyncio
from dataclasses import dataclass

import orjson
from aiohttp import web

from config.clock import Clock
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.failing import cut_connection, fail_before_answer, stay_silent
from proxy.providers.mock.faults import FaultPlan, read_plan
from proxy.providers.mock.messages_cache import CacheUse, MarkedPrefixes
from proxy.providers.mock.messages_call import MessagesCall, error_body
from proxy.providers.mock.messages_prompt import MessagesRequest, read_messages_request
from proxy.providers.mock.messages_writing import (
    MessagesAnswer,
    answer_to,
    envelope,
    event_of,
    events_of,
    message_document,
    usage_document,
)
from proxy.providers.mock.rendering import Event, Usage

PREFIXES = web.AppKey("PREFIXES", MarkedPrefixes)
STREAM_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
EVENTS_PER_TURN = 32
CREATED_AT = "2025-01-01T00:00:00Z"


def add_messages_routes(app: web.Application, clock: Clock) -> None:
    app[PREFIXES] = MarkedPrefixes(clock)
    app.router.add_post("/v1/messages", answer_messages)
    app.router.add_post("/v1/messages/count_tokens", count_tokens)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One checked call with its answer, ready to be sent."""

    http: web.Request
    call: MessagesCall
    plan: FaultPlan
    request: MessagesRequest
    answer: MessagesAnswer
    cache: CacheUse

    def usage(self, tokens: int) -> Usage:
        """Return the usage once `tokens` were generated; thoughts come first."""
        thinking_tokens = min(tokens, self.answer.thinking_tokens)
        return Usage(
            prompt_tokens=self.request.chat.prompt.tokens,
            cached_tokens=self.cache.read_tokens,
            cache_write_5m_tokens=self.cache.write_5m_tokens,
            cache_write_1h_tokens=self.cache.write_1h_tokens,
            output_tokens=tokens - thinking_tokens,
            reasoning_tokens=thinking_tokens,
        )

    def charge(self, tokens: int, *, is_complete: bool) -> None:
        usage = self.usage(tokens)
        self.call.charge(self.request.chat.model, usage, is_complete=is_complete)


async def answer_messages(http: web.Request) -> web.StreamResponse:
    call = MessagesCall(http)
    body = await http.read()
    request = read_messages_request(body)
    plan = call.state.attempts.settle(read_plan(http.headers), body)
    failure = await fail_before_answer(http, call, plan)
    if failure is not None:
        return failure
    answer = answer_to(request, plan.wishes())
    cache = http.app[PREFIXES].use(call.owner(request.chat.model), request.ends)
    exchange = _Exchange(http, call, plan, request, answer, cache)
    if request.chat.is_streaming:
        return await _Stream(exchange).send()
    return await _answer_whole(exchange)


async def count_tokens(http: web.Request) -> web.StreamResponse:
    """Say how many tokens a prompt has; free of charge."""
    call = MessagesCall(http)
    body = await http.read()
    request = read_messages_request(body, has_limit=False)
    plan = call.state.attempts.settle(read_plan(http.headers), body)
    failure = await fail_before_answer(http, call, plan)
    if failure is not None:
        return failure
    return _json({"input_tokens": request.chat.prompt.tokens}, call)


def model_document(name: str) -> dict[str, object]:
    """Describe a model the way Anthropic does."""
    return {"type": "model", "id": name, "display_name": name, "created_at": CREATED_AT}


def list_document(names: tuple[str, ...]) -> dict[str, object]:
    data = [model_document(name) for name in names]
    return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}


def _json(document: object, call: MessagesCall) -> web.Response:
    body = orjson.dumps(document)
    return web.Response(body=body, content_type="application/json", headers=call.headers())


async def _answer_whole(exchange: _Exchange) -> web.StreamResponse:
    plan, answer = exchange.plan, exchange.answer
    tokens = answer.thinking_tokens + answer.visible_tokens
    usage = usage_document(exchange.usage(tokens), exchange.cache)
    document = message_document(
        exchange.request, answer, None if plan.garbage == "no-usage" else usage
    )
    body = orjson.dumps(document)
    if plan.token_ms:
        await asyncio.sleep(plan.token_ms * tokens / 1000)
    if plan.garbage == "broken-json":
        body = body[: len(body) // 2]
    limits = [n for n in (plan.cut_after_tokens, plan.silence_after_tokens) if n is not None]
    if limits or plan.silence:
        return await _answer_partly(exchange, body, min([*limits, tokens]))
    exchange.charge(tokens, is_complete=plan.garbage != "broken-json")
    headers = exchange.call.headers()
    return web.Response(body=body, content_type="application/json", headers=headers)


async def _answer_partly(exchange: _Exchange, body: bytes, tokens: int) -> web.StreamResponse:
    """Promise the whole body, send half of it or none, then hang or close."""
    headers = {**exchange.call.headers(), "Content-Type": "application/json"}
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    exchange.charge(tokens, is_complete=False)
    await response.prepare(exchange.http)
    if not exchange.plan.silence:
        await response.write(body[: len(body) // 2])
    if exchange.plan.cut_after_tokens is None:
        await stay_silent(exchange.http)
    cut_connection(exchange.http)
    return response


class _Stream:
    """Sends one answer event by event and charges for what was generated, whoever ends it."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        self._plan = exchange.plan
        self._response = web.StreamResponse(headers={**exchange.call.headers(), **STREAM_HEADERS})
        self._generated_tokens = 0

    async def send(self) -> web.StreamResponse:
        try:
            await self._response.prepare(self._exchange.http)
            if self._plan.silence == "headers":
                await stay_silent(self._exchange.http)
            elif await self._send_events():
                await self._send_end()
        except ConnectionError:
            self._exchange.call.state.clients_left += 1
        finally:
            # Also when the caller left and this task was cancelled; a no-op after _send_end.
            self._exchange.charge(self._generated_tokens, is_complete=False)
        return self._response

    async def _send_events(self) -> bool:
        """Send the events; False when the plan broke the stream off."""
        await self._response.write(self._opening())
        is_broken = self._plan.garbage != "broken-json"
        for position, event in enumerate(events_of(self._exchange.answer)):
            if await self._is_broken_off():
                return False
            data = event.data
            if event.tokens and not is_broken:
                data, is_broken = data[: len(data) // 2] + b"\n\n", True
            await self._pace(position, event)
            self._generated_tokens += event.tokens
            await self._response.write(data)
        return True

    def _opening(self) -> bytes:
        exchange = self._exchange
        message = envelope(exchange.request)
        if self._plan.garbage != "no-usage":
            usage = usage_document(exchange.usage(0), exchange.cache)
            message["usage"] = {**usage, "output_tokens": 1}
        return event_of({"type": "message_start", "message": message})

    async def _pace(self, position: int, event: Event) -> None:
        if event.tokens and self._plan.token_ms:
            await asyncio.sleep(self._plan.token_ms * event.tokens / 1000)
        elif position % EVENTS_PER_TURN == 0:
            await asyncio.sleep(0)  # a long answer must not keep the others waiting

    async def _is_broken_off(self) -> bool:
        plan, http = self._plan, self._exchange.http
        if plan.cut_after_tokens is not None and self._generated_tokens >= plan.cut_after_tokens:
            cut_connection(http)
            return True
        silent_at = plan.silence_after_tokens
        if silent_at is not None and self._generated_tokens >= silent_at:
            await stay_silent(http)
            return True
        if plan.garbage == "error-event" and self._generated_tokens:
            error = MockError("Overloaded", status=529)
            await self._response.write(b"event: error\ndata: " + error_body(error) + b"\n\n")
            return True
        return False

    async def _send_end(self) -> None:
        exchange, garbage, answer = self._exchange, self._plan.garbage, self._exchange.answer
        delta = {"stop_reason": answer.stop_reason, "stop_sequence": answer.stop_sequence}
        ending: dict[str, object] = {"type": "message_delta", "delta": delta}
        if garbage != "no-usage":
            usage = usage_document(exchange.usage(self._generated_tokens), exchange.cache)
            told = {n: v for n, v in usage.items() if n not in {"service_tier", "cache_creation"}}
            ending["usage"] = told
        await self._response.write(event_of(ending))
        is_complete = garbage not in {"no-done", "broken-json"}
        exchange.charge(self._generated_tokens, is_complete=is_complete)
        if garbage != "no-done":
            await self._response.write_eof(event_of({"type": "message_stop"}))
