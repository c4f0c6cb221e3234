"""Answers Bedrock's POST /model/{id}/converse and /converse-stream. Routes added by app.py.

A request is read as the chat request it amounts to, so that words, limits, tools and the prompt
cache are those of the mock's chat; the answer goes out in Converse's shapes, streams in AWS's
binary framing. A bearer key or a SigV4 signature must be there; its digits are not recomputed.
"""

import asyncio
import re
from dataclasses import dataclass, replace

import orjson
from aiohttp import web

from proxy.providers.mock.bedrock_reading import chat_of_converse
from proxy.providers.mock.bedrock_rendering import (
    converse_document,
    converse_events,
    error_body,
    metadata_event,
)
from proxy.providers.mock.completions import Choice, compose, read_chat_request
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.failing import cut_connection, fail_before_answer, stay_silent
from proxy.providers.mock.faults import FaultPlan, read_plan
from proxy.providers.mock.rendering import Usage
from proxy.providers.mock.state import REFUSED_KEY_PREFIX, STATE, Call, new_request_id
from proxy.providers.mock.validation import parse_body
from proxy.streaming.aws_event_stream import encode_message

_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/\d{8}/[\w-]+/bedrock/aws4_request, ?"
    r"SignedHeaders=(?=[\w;-]*\bhost\b)(?=[\w;-]*\bx-amz-date\b)[\w;-]+, ?Signature=[0-9a-f]{64}"
)
_STREAM_TYPE = "application/vnd.amazon.eventstream"
_EVENTS_PER_TURN = 32


def add_bedrock_routes(app: web.Application) -> None:
    app.router.add_post("/model/{id}/converse", answer_converse)
    app.router.add_post("/model/{id}/converse-stream", answer_converse)


class BedrockCall(Call):
    """One request to the Bedrock side; MockError without a credential."""

    def __init__(self, request: web.Request) -> None:
        self.state = request.app[STATE]
        self.api_key = _key(request.headers.get("Authorization", ""))
        self.request_id = new_request_id()
        self.bill_id = request.headers.get("x-client-request-id", self.request_id)
        self.is_billed = False

    def headers(self) -> dict[str, str]:
        return {"x-amzn-RequestId": self.request_id}


def _key(authorization: str) -> str:
    signed = _SIGNATURE.fullmatch(authorization)
    scheme, _, bearer = authorization.partition(" ")
    key = signed[1] if signed else bearer.strip() if scheme.lower() == "bearer" else ""
    if not key:
        raise MockError("Missing Authentication Token", status=403)
    if key.startswith(REFUSED_KEY_PREFIX):
        raise MockError("The security token included in the request is invalid.", status=403)
    return key


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One checked call with its answer; `usage` is that of the whole answer."""

    http: web.Request
    call: BedrockCall
    plan: FaultPlan
    model: str
    choice: Choice
    usage: Usage

    def charge(self, output_tokens: int, *, is_complete: bool) -> Usage:
        usage = replace(self.usage, output_tokens=output_tokens)
        self.call.charge(self.model, usage, is_complete=is_complete)
        return usage


async def answer_converse(http: web.Request) -> web.StreamResponse:
    """Answer, and put every error into Bedrock's shape."""
    try:
        call = BedrockCall(http)
        plan = await _plan(http, call)
        failure = await fail_before_answer(http, call, plan)
        if failure is not None:
            return failure
        exchange = await _exchange(http, call, plan)
    except MockError as error:
        name, body = error_body(error)
        headers = {**error.headers, "x-amzn-ErrorType": name}
        return web.Response(
            status=error.status, body=body, headers=headers, content_type="application/json"
        )
    if http.path.endswith("-stream"):
        return await _stream(exchange)
    return await _whole(exchange)


async def _plan(http: web.Request, call: BedrockCall) -> FaultPlan:
    return call.state.attempts.settle(read_plan(http.headers), await http.read())


async def _exchange(http: web.Request, call: BedrockCall, plan: FaultPlan) -> _Exchange:
    document = chat_of_converse(parse_body(await http.read()), http.match_info["id"])
    request = read_chat_request(orjson.dumps(document))
    answer = compose(request, plan.wishes())
    usage = Usage(
        prompt_tokens=request.prompt.tokens,
        cached_tokens=call.state.prompt_cache.match(call.owner(request.model), request.prompt),
        output_tokens=answer.choices[0].count_tokens(),
        reasoning_tokens=answer.reasoning_tokens,
    )
    return _Exchange(http, call, plan, request.model, answer.choices[0], usage)


async def _whole(exchange: _Exchange) -> web.StreamResponse:
    plan, tokens = exchange.plan, exchange.usage.output_tokens
    if plan.token_ms:
        await asyncio.sleep(plan.token_ms * tokens / 1000)
    usage = None if plan.garbage == "no-usage" else exchange.usage
    body = orjson.dumps(converse_document(exchange.choice, usage))
    is_broken = plan.garbage == "broken-json" or _breaks_off(plan, tokens)
    exchange.charge(tokens, is_complete=not is_broken)
    if is_broken:
        body = body[: len(body) // 2]
    if _breaks_off(plan, tokens):
        return await _half(exchange, body)
    headers = exchange.call.headers()
    return web.Response(body=body, content_type="application/json", headers=headers)


def _breaks_off(plan: FaultPlan, tokens: int) -> bool:
    ends = (plan.cut_after_tokens, plan.silence_after_tokens)
    return plan.silence is not None or any(end is not None and end <= tokens for end in ends)


async def _half(exchange: _Exchange, body: bytes) -> web.StreamResponse:
    """Promise twice what there is, send it, then hang or close."""
    response = web.StreamResponse(headers=exchange.call.headers())
    response.content_type = "application/json"
    response.content_length = len(body) * 2 + 1
    await response.prepare(exchange.http)
    if exchange.plan.silence is None:
        await response.write(body)
    if exchange.plan.cut_after_tokens is None:
        await stay_silent(exchange.http)
    cut_connection(exchange.http)
    return response


async def _stream(exchange: _Exchange) -> web.StreamResponse:
    """Send one answer event by event; charge for what was generated, whoever ends it."""
    response = web.StreamResponse(headers=exchange.call.headers())
    response.content_type = _STREAM_TYPE
    sent = _Sent()
    try:
        await response.prepare(exchange.http)
        if exchange.plan.silence == "headers":
            await stay_silent(exchange.http)
        elif await _send_events(exchange, response, sent):
            await _send_end(exchange, response, sent)
    except ConnectionError:
        exchange.call.state.clients_left += 1
    finally:
        exchange.charge(sent.tokens, is_complete=False)  # a no-op after the end
    return response


@dataclass(slots=True)
class _Sent:
    """The visible tokens sent so far."""

    tokens: int = 0


async def _send_events(exchange: _Exchange, response: web.StreamResponse, sent: _Sent) -> bool:
    """Send the events; False when the plan broke the stream off."""
    for position, (name, payload, tokens) in enumerate(converse_events(exchange.choice)):
        if sent.tokens and await _is_broken_off(exchange, response, sent.tokens):
            return False
        if tokens and exchange.plan.token_ms:
            await asyncio.sleep(exchange.plan.token_ms * tokens / 1000)
        elif position % _EVENTS_PER_TURN == 0:
            await asyncio.sleep(0)  # a long answer must not keep the others waiting
        sent.tokens += tokens
        await response.write(_event(name, payload))
    return True


async def _is_broken_off(exchange: _Exchange, response: web.StreamResponse, tokens: int) -> bool:
    plan, http = exchange.plan, exchange.http
    if plan.cut_after_tokens is not None and tokens >= plan.cut_after_tokens:
        cut_connection(http)
        return True
    if plan.silence_after_tokens is not None and tokens >= plan.silence_after_tokens:
        await stay_silent(http)
        return True
    if plan.garbage == "broken-json":
        await response.write(b"\x00" * 16)  # a prelude whose checksum is wrong
        return True
    if plan.garbage == "error-event":
        headers = {":exception-type": "internalServerException", ":message-type": "exception"}
        body = orjson.dumps({"message": "Simulated error inside a stream."})
        await response.write(encode_message(headers, body))
        return True
    return False


async def _send_end(exchange: _Exchange, response: web.StreamResponse, sent: _Sent) -> None:
    garbage = exchange.plan.garbage
    usage = exchange.charge(sent.tokens, is_complete=garbage != "no-done")
    end = _event("metadata", metadata_event(None if garbage == "no-usage" else usage))
    await response.write_eof(b"" if garbage == "no-done" else end)


def _event(name: str, payload: dict[str, object]) -> bytes:
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_message(headers, orjson.dumps(payload))
