"""Answers GET /v1/realtime, a WebSocket: one session a connection, one line on the bill.

The line is written when the session ends, for everything its responses used. Added by routes.py.
"""

import asyncio
from collections.abc import Iterator

import orjson
from aiohttp import WSMessage, WSMsgType, web

from proxy.providers.mock.buckets import Buckets, Charge
from proxy.providers.mock.errors import MockError, missing
from proxy.providers.mock.exchange import Exchange, opened
from proxy.providers.mock.failing import cut_connection, stay_silent
from proxy.providers.mock.prompts import Prompt
from proxy.providers.mock.realtime_session import (
    ClientEventError,
    RealtimeSession,
    ServerEvent,
    difference,
    error_event,
)
from proxy.providers.mock.shelf import Document

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
PROTOCOL = "realtime"


def add_realtime_routes(app: web.Application) -> None:
    app.router.add_get("/v1/realtime", answer_realtime)


@opened
async def answer_realtime(exchange: Exchange) -> web.StreamResponse:
    query = exchange.http.query
    model = query.get("model") or query.get("deployment")
    if not model:
        raise missing("model")
    socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=MAX_MESSAGE_BYTES)
    if not socket.can_prepare(exchange.http):
        raise MockError("This route is a WebSocket.", status=426, code="websocket_expected")
    return await _Conversation(exchange, socket, model).run()


class _Conversation:
    """A session on its socket: reads an event, sends what it leads to, reads the next."""

    def __init__(self, exchange: Exchange, socket: web.WebSocketResponse, model: str) -> None:
        self._exchange = exchange
        self._plan = exchange.plan
        self._socket = socket
        self._model = model
        self._generated_tokens = 0
        self._responses = 0
        self._charged = Buckets()

        def match_cache(prompt: Prompt) -> int:
            return exchange.call.state.prompt_cache.match(exchange.call.owner(model), prompt)

        self._session = RealtimeSession(model, exchange.plan.output_tokens, match_cache)

    async def run(self) -> web.StreamResponse:
        try:
            await self._socket.prepare(self._exchange.http)
            if self._plan.silence == "headers":
                await stay_silent(self._exchange.http)
            await self._send(self._session.opening())
            async for message in self._socket:
                if not await self._answer(message):
                    break
        except ConnectionError:
            self._exchange.call.state.clients_left += 1
        finally:
            self._charge(is_complete=False)  # what was begun and not finished
        return self._socket

    async def _answer(self, message: WSMessage) -> bool:
        """Send what a message leads to; False when the plan broke the session off."""
        event_id = None
        try:
            event = _read_event(message)
            event_id = event.get("event_id")
            return await self._send_all(self._session.take(event))
        except ClientEventError as error:
            await self._send(error_event(error, event_id))
        return True

    async def _send_all(self, events: Iterator[ServerEvent]) -> bool:
        for event in events:
            if event.tokens and self._plan.token_ms:
                await asyncio.sleep(self._plan.token_ms / 1000)
            self._generated_tokens += event.tokens
            if event.document["type"] == "response.done":
                self._charge(is_complete=True)
            await self._send(event)
            if self._session.is_responding and await self._is_broken_off():
                return False
        return True

    async def _is_broken_off(self) -> bool:
        plan, tokens = self._plan, self._generated_tokens
        if plan.cut_after_tokens is not None and tokens >= plan.cut_after_tokens:
            cut_connection(self._exchange.http)
            return True
        if plan.silence_after_tokens is not None and tokens >= plan.silence_after_tokens:
            await stay_silent(self._exchange.http)
            return True
        return False

    async def _send(self, event: ServerEvent) -> None:
        document = event.document
        if document["type"] == "response.done" and self._plan.garbage == "no-usage":
            document = {**document, "response": {**document["response"], "usage": None}}
        await self._socket.send_str(orjson.dumps(document).decode())

    def _charge(self, *, is_complete: bool) -> None:
        """Write a line for what was spent since the last one: each response has its own."""
        spent = difference(self._session.spent, self._charged)
        if spent == Buckets():
            return
        self._responses += 1
        self._charged = self._session.spent
        charge = Charge(self._model, spent)
        self._exchange.call.charge_part(self._responses, charge, is_complete=is_complete)


def _read_event(message: WSMessage) -> Document:
    try:
        if message.type != WSMsgType.TEXT:
            raise ClientEventError("Events are JSON in text messages.", "invalid_message")
        event = orjson.loads(message.data)
    except orjson.JSONDecodeError:
        raise ClientEventError("The event is not valid JSON.", "invalid_json") from None
    if not isinstance(event, dict):
        raise ClientEventError("An event must be a JSON object.", "invalid_event")
    return event
