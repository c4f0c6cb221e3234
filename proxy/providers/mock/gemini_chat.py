"""Answers generateContent and streamGenerateContent. Routed to by gemini.py.

A stream is server-sent events with `alt=sse`, else one JSON array in pieces. The faults are those
of chat.py: `no-done` leaves out the finish reasons.
"""

import asyncio
from dataclasses import dataclass

import orjson
from aiohttp import web

from proxy.providers.mock.completions import Answer, compose
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.failing import cut_connection, fail_before_answer, stay_silent
from proxy.providers.mock.faults import FaultPlan, read_plan
from proxy.providers.mock.gemini_calls import GeminiCall, answers_in_googles_words, error_body
from proxy.providers.mock.gemini_rendering import (
    Piece,
    pieces,
    response_document,
    whole_candidates,
)
from proxy.providers.mock.gemini_requests import GeminiRequest, read_gemini_request
from proxy.providers.mock.rendering import Usage

_PIECES_PER_TURN = 32


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One checked call with its answer, ready to be sent."""

    http: web.Request
    call: GeminiCall
    plan: FaultPlan
    request: GeminiRequest
    answer: Answer
    cached_tokens: int

    def usage(self, output_tokens: int) -> Usage:
        prompt = self.request.chat.prompt
        return Usage(
            prompt_tokens=prompt.tokens,
            cached_tokens=self.cached_tokens,
            audio_tokens=prompt.audio_tokens,
            output_tokens=output_tokens,
            reasoning_tokens=self.answer.reasoning_tokens,
        )

    def told_usage(self, output_tokens: int) -> Usage | None:
        return None if self.plan.garbage == "no-usage" else self.usage(output_tokens)

    def charge(self, output_tokens: int, *, is_complete: bool) -> None:
        usage = self.usage(output_tokens)
        self.call.charge(self.request.chat.model, usage, is_complete=is_complete)


@answers_in_googles_words
async def generate_content(http: web.Request) -> web.StreamResponse:
    found = await _open(http)
    return await _answer_whole(found) if isinstance(found, _Exchange) else found


@answers_in_googles_words
async def stream_generate_content(http: web.Request) -> web.StreamResponse:
    found = await _open(http)
    return await _Stream(found).send() if isinstance(found, _Exchange) else found


async def _open(http: web.Request) -> _Exchange | web.StreamResponse:
    """Read the request and compose its answer; a failure that was asked for is an answer too."""
    call = GeminiCall(http)
    body = await http.read()
    request = read_gemini_request(http.match_info["model"], body)
    call.service_tier = request.service_tier
    plan = call.state.attempts.settle(read_plan(http.headers), body)
    failure = await fail_before_answer(http, call, plan)
    if failure is not None:
        return failure
    composed = compose(request.chat, plan.wishes())
    is_refused = composed.choices[0].refusal is not None
    thoughts = 0 if is_refused else request.thinking_tokens * len(composed.choices)
    owner = call.owner(request.chat.model)
    cached_tokens = call.state.prompt_cache.match(owner, request.chat.prompt)
    answer = Answer(composed.choices, thoughts)
    return _Exchange(http, call, plan, request, answer, cached_tokens)


async def _answer_whole(exchange: _Exchange) -> web.StreamResponse:
    plan, request = exchange.plan, exchange.request
    shown = [choice for choice in exchange.answer.choices if choice.refusal is None]
    tokens = sum(choice.count_tokens() for choice in shown)
    candidates = whole_candidates(request, exchange.answer)
    document = response_document(request, candidates, exchange.told_usage(tokens))
    body = orjson.dumps(document)
    if plan.token_ms:
        await asyncio.sleep(plan.token_ms * tokens / 1000)
    limits = [n for n in (plan.cut_after_tokens, plan.silence_after_tokens) if n is not None]
    if limits or plan.silence:
        return await _answer_partly(exchange, body, min([*limits, tokens]))
    is_broken = plan.garbage == "broken-json"
    exchange.charge(tokens, is_complete=not is_broken)
    body = body[: len(body) // 2] if is_broken else body
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
    """Sends one answer piece by piece and charges for what was generated, whoever ends it."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        self._plan = exchange.plan
        self._is_sse = exchange.http.query.get("alt") == "sse"
        kind = "text/event-stream" if self._is_sse else "application/json"
        headers = {**exchange.call.headers(), "Content-Type": kind}
        self._response = web.StreamResponse(headers=headers)
        self._generated_tokens = 0

    async def send(self) -> web.StreamResponse:
        try:
            await self._response.prepare(self._exchange.http)
            if self._plan.silence == "headers":
                await stay_silent(self._exchange.http)
            elif await self._send_pieces():
                is_complete = self._plan.garbage not in {"no-done", "broken-json"}
                self._exchange.charge(self._generated_tokens, is_complete=is_complete)
                await self._response.write_eof(b"" if self._is_sse else b"]")
        except ConnectionError:
            self._exchange.call.state.clients_left += 1
        finally:
            # Also when the caller left and this task was cancelled; a no-op after the end.
            self._exchange.charge(self._generated_tokens, is_complete=False)
        return self._response

    async def _send_pieces(self) -> bool:
        """Send the pieces; False when the plan broke the stream off."""
        is_broken = self._plan.garbage != "broken-json"
        sent = 0
        for piece in pieces(self._exchange.request, self._exchange.answer):
            if sent and await self._is_broken_off():
                return False
            if piece.is_last and self._plan.garbage == "no-done":
                continue
            await self._pace(sent, piece)
            self._generated_tokens += piece.tokens
            data = self._frame(self._document(piece), is_first=sent == 0)
            if piece.tokens and not is_broken:
                data, is_broken = data[: len(data) // 2] + b"\n\n", True
            sent += 1
            if piece.is_last and self._plan.garbage is None:
                # Whoever reads the end finds the bill written; later charges change nothing.
                await self._settle(piece)
            await self._response.write(data)
        return True

    async def _settle(self, piece: Piece) -> None:
        last = self._exchange.answer.choices[-1].index
        if all(candidate["index"] == last for candidate in piece.candidates):
            self._exchange.charge(self._generated_tokens, is_complete=True)

    def _document(self, piece: Piece) -> bytes:
        usage = self._exchange.told_usage(self._generated_tokens)
        return orjson.dumps(response_document(self._exchange.request, piece.candidates, usage))

    def _frame(self, document: bytes, *, is_first: bool) -> bytes:
        if self._is_sse:
            return b"data: " + document + b"\r\n\r\n"
        return (b"[" if is_first else b",\r\n") + document

    async def _pace(self, position: int, piece: Piece) -> None:
        if piece.tokens and self._plan.token_ms:
            await asyncio.sleep(self._plan.token_ms * piece.tokens / 1000)
        elif position % _PIECES_PER_TURN == 0:
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
            error = MockError("Simulated error inside a stream.", status=503)
            await self._response.write(self._frame(error_body(error), is_first=False))
            return True
        return False
