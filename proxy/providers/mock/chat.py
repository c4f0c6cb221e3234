"""Answers POST /v1/chat/completions, as one document or token by token. Routed to by app.py."""

import asyncio
from dataclasses import dataclass

import orjson
from aiohttp import web

from proxy.providers.mock.azure import (
    first_chunk,
    harmless_content,
    is_azure,
    prompt_filter_results,
)
from proxy.providers.mock.completions import Answer, ChatRequest, compose, read_chat_request
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.exchange import read_body
from proxy.providers.mock.failing import cut_connection, fail_before_answer, stay_silent
from proxy.providers.mock.faults import FaultPlan, read_plan
from proxy.providers.mock.rendering import DONE, Event, EventWriter, Usage, completion_document
from proxy.providers.mock.state import Call

_STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
}
_EVENTS_PER_TURN = 32


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One checked call with its answer, ready to be sent."""

    http: web.Request
    call: Call
    plan: FaultPlan
    request: ChatRequest
    answer: Answer
    cached_tokens: int

    def usage(self, output_tokens: int) -> Usage:
        return Usage(
            prompt_tokens=self.request.prompt.tokens,
            cached_tokens=self.cached_tokens,
            audio_tokens=self.request.prompt.audio_tokens,
            output_tokens=output_tokens,
            reasoning_tokens=self.answer.reasoning_tokens,
        )

    def charge(self, output_tokens: int, *, is_complete: bool) -> None:
        usage = self.usage(output_tokens)
        self.call.charge(self.request.model, usage, is_complete=is_complete)


async def answer_chat(http: web.Request) -> web.StreamResponse:
    call = Call(http)
    body = await read_body(http)
    request = read_chat_request(body)
    plan = call.state.attempts.settle(read_plan(http.headers), body)
    failure = await fail_before_answer(http, call, plan)
    if failure is not None:
        return failure
    answer = compose(request, plan.wishes())
    cached_tokens = call.state.prompt_cache.match(call.owner(request.model), request.prompt)
    exchange = _Exchange(http, call, plan, request, answer, cached_tokens)
    if request.is_streaming:
        return await _Stream(exchange).send()
    return await _answer_whole(exchange)


async def _answer_whole(exchange: _Exchange) -> web.StreamResponse:
    plan, call = exchange.plan, exchange.call
    tokens = sum(choice.count_tokens() for choice in exchange.answer.choices)
    usage = None if plan.garbage == "no-usage" else exchange.usage(tokens)
    document = completion_document(exchange.request, exchange.answer, usage)
    if is_azure(exchange.http):
        document["prompt_filter_results"] = prompt_filter_results()
        for choice in document["choices"]:
            choice["content_filter_results"] = harmless_content()
    body = orjson.dumps(document)
    if plan.token_ms:
        await asyncio.sleep(plan.token_ms * tokens / 1000)
    if plan.garbage == "broken-json":
        body = body[: len(body) // 2]
    limits = [n for n in (plan.cut_after_tokens, plan.silence_after_tokens) if n is not None]
    if limits or plan.silence:
        return await _answer_partly(exchange, body, min([*limits, tokens]))
    exchange.charge(tokens, is_complete=plan.garbage != "broken-json")
    return web.Response(body=body, content_type="application/json", headers=call.headers())


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
        self._writer = EventWriter(exchange.request)
        self._response = web.StreamResponse(headers={**exchange.call.headers(), **_STREAM_HEADERS})
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
        if is_azure(self._exchange.http):
            await self._response.write(b"data: " + orjson.dumps(first_chunk()) + b"\n\n")
        is_broken = self._plan.garbage != "broken-json"
        for position, event in enumerate(self._writer.events(self._exchange.answer)):
            if position and await self._is_broken_off():
                return False
            data = event.data
            if event.tokens and not is_broken:
                data, is_broken = data[: len(data) // 2] + b"\n\n", True
            await self._pace(position, event)
            self._generated_tokens += event.tokens
            await self._response.write(data)
        return True

    async def _pace(self, position: int, event: Event) -> None:
        if event.tokens and self._plan.token_ms:
            await asyncio.sleep(self._plan.token_ms * event.tokens / 1000)
        elif position % _EVENTS_PER_TURN == 0:
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
            error = MockError("Simulated error inside a stream.", status=500)
            await self._response.write(b"data: " + error.body() + b"\n\n")
            return True
        return False

    async def _send_end(self) -> None:
        exchange, garbage = self._exchange, self._plan.garbage
        usage = exchange.usage(self._generated_tokens)
        if exchange.request.wants_usage and garbage != "no-usage":
            await self._response.write(self._writer.usage_event(usage))
        is_complete = garbage not in {"no-done", "broken-json"}
        exchange.charge(self._generated_tokens, is_complete=is_complete)
        if garbage != "no-done":
            await self._response.write_eof(DONE)
