"""Realtime sessions: a web socket relayed message by message, its usage read from its events.

Called by routes.py. The session holds one place at the gate for as long as it lasts. It is an
attempt of its own that costs nothing; each response in it is another one, with a START when the
provider begins it and an END before its last event goes to the caller.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType, web

from ledger.events import Outcome
from ledger.segment_log import LogWriteError
from policies.snapshot import Target
from proxy.admission import Admission
from proxy.context import RequestContext
from proxy.dialects.dialect import text_of, usage_of
from proxy.errors import GatewayError, InvalidRequestError
from proxy.models import unknown_model
from proxy.recorder import put_usage
from proxy.refusals import refusal_of
from proxy.resources.choosing import Choice, choose_upstream
from proxy.resources.dialect import resource_dialect
from proxy.retry import failure_of_fault, failure_of_status
from proxy.scopes import check_model
from proxy.upstream_client import (
    MOST_MESSAGE_BYTES,
    AiohttpClient,
    RefusedFault,
    UpstreamCall,
    UpstreamFault,
)
from proxy.wire_headers import headers_up

LONGEST_SESSION_S = 7200.0
MOST_OPEN_RESPONSES = 64
PROTOCOL = "realtime"
PASSED_QUERY = frozenset({"intent", "call_id"})
CLOSE_CODES = {"insufficient_quota": 1008, "session_too_long": 1001, "usage_log_unwritable": 1011}
# Realtime usage spells its details without the s of `tokens`.
DETAILS = {
    "input_token_details": "input_tokens_details",
    "output_token_details": "output_tokens_details",
}


@dataclass(slots=True)
class Realtime:
    """Opens the sessions of one proxy process."""

    admission: Admission
    client: AiohttpClient

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer GET /v1/realtime; errors before the upgrade are replies in OpenAI's shape."""
        ctx = self.admission.open(resource_dialect("realtime"))
        ctx.model = request.query.get("model") or request.query.get("deployment", "")
        ctx.is_streaming = True
        return await self.admission.run(ctx, request, self._answer)

    async def _answer(self, ctx: RequestContext, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise GatewayError(
                426,
                "upgrade_required",
                "Realtime is a web socket.",
                "Connect with wss:// or ws://.",
            )
        if not ctx.model:
            message, hint = "The query names no model.", "Add ?model=... to the address."
            raise InvalidRequestError(message, hint, param="model")
        choice = _choose(ctx)
        target = Target(choice.door.upstream.name, choice.model)
        await self.admission.governor.admit_session(ctx, target)
        upstream = await self._connect(ctx, request, choice)
        session = Session(ctx, self.admission, target)
        caller = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=MOST_MESSAGE_BYTES)
        try:
            await caller.prepare(request)
            async with asyncio.timeout(LONGEST_SESSION_S):
                await _relay(caller, upstream, session)
        except TimeoutError:
            session.code = "session_too_long"
        except LogWriteError:
            session.code = "usage_log_unwritable"  # what cannot be recorded is not served
        finally:
            await upstream.close()
            session.close()
        await caller.close(code=CLOSE_CODES.get(session.code, upstream.close_code or 1000))
        return caller

    async def _connect(
        self, ctx: RequestContext, request: web.Request, choice: Choice
    ) -> ClientWebSocketResponse:
        door = choice.door
        recorder = self.admission.recorder
        end = recorder.open(ctx, Target(door.upstream.name, choice.model))
        end.usage_source = "none"  # a session costs by its responses
        headers = headers_up(
            _plain_headers(request), door.headers, f"{ctx.request_id}.1", is_mock=door.is_mock
        )
        headers.popall("Content-Type", None)
        kept = {name: value for name, value in request.query.items() if name in PASSED_QUERY}
        query = {**kept, "model": choice.model}
        call = UpstreamCall(
            url=door.addresses.resource("realtime", urlencode(query)),
            headers=headers,
            body=b"",
            connect_s=ctx.live.snapshot.timeouts.connect_s,
            allows_private=door.allows_private,
        )
        try:
            return await self.client.open_websocket(call, (PROTOCOL,))
        except UpstreamFault as fault:
            failure = (
                failure_of_status(fault.status, {}, b"", self.admission.clock.now())
                if isinstance(fault, RefusedFault)
                else failure_of_fault(fault)
            )
            end.outcome, end.error_code = failure.outcome, failure.code
            raise refusal_of(failure, has_retried=False, upstream=end.upstream) from fault


@dataclass(slots=True)
class Session:
    """What is recorded of one session."""

    ctx: RequestContext
    admission: Admission
    target: Target
    code: str = ""
    number: int = 0
    is_due: bool = False  # a response has ended that is not paid yet
    responses: dict[str, RequestContext] = field(default_factory=dict)

    def read(self, text: str) -> None:
        """Learn from one event of the provider, before the caller sees it."""
        if '"response.' not in text and '"usage"' not in text:
            return
        try:
            event = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        if not isinstance(event, dict):
            return
        kind, response = event.get("type"), event.get("response")
        if kind == "response.created" and isinstance(response, dict):
            self._open(text_of(response.get("id")))
        elif kind == "response.done" and isinstance(response, dict):
            self._finish(text_of(response.get("id")), response)
        elif usage_of(event.get("usage")) is not None:
            self._finish(f"item {event.get('item_id')}", event)

    def _open(self, name: str) -> RequestContext:
        """Begin what is billed on its own; past the bound the oldest ends as unknown."""
        if len(self.responses) >= MOST_OPEN_RESPONSES:
            self._abandon(next(iter(self.responses)))
        self.number += 1
        ctx = RequestContext(
            f"{self.ctx.request_id}-{self.number}",
            self.ctx.dialect,
            self.admission.clock.monotonic(),
            self.ctx.live,
        )
        ctx.wishes, ctx.key, ctx.tags = self.ctx.wishes, self.ctx.key, self.ctx.tags
        ctx.model, ctx.is_streaming, ctx.hold = self.ctx.model, True, self.ctx.hold
        self.admission.recorder.open(ctx, self.target)
        self.responses[name] = ctx
        return ctx

    def _finish(self, name: str, response: Mapping[str, Any]) -> None:
        ctx = self.responses.get(name) or self._open(name)
        del self.responses[name]
        end = ctx.open_end
        if end is None:
            return
        end.outcome, end.client_status = Outcome.ok, 101
        end.finish_reasons = [text_of(response.get("status"))]
        usage = usage_of(response.get("usage")) or {}
        named = {DETAILS.get(key, key): value for key, value in usage.items()}
        put_usage(end, named or None, self.admission.metrics)
        self.admission.recorder.finish(ctx)
        self.is_due = True

    async def renew(self) -> bool:
        """Pay what has ended, and claim the next response; whether there is money for one."""
        self.is_due = False
        try:
            await self.admission.governor.renew(self.ctx, self.target)
        except GatewayError as error:
            self.code = error.code
            return False
        return True

    def _abandon(self, name: str) -> None:
        ctx = self.responses.pop(name)
        if ctx.open_end is not None:
            ctx.open_end.outcome, ctx.open_end.error_code = Outcome.truncated, "session_ended"
        self.admission.recorder.finish(ctx)

    def close(self) -> None:
        """The session is over: what was not done ends as truncated, its usage unknown."""
        for name in list(self.responses):
            self._abandon(name)
        end = self.ctx.open_end
        if end is not None:
            end.outcome, end.client_status, end.error_code = Outcome.ok, 101, self.code


async def _relay(
    caller: web.WebSocketResponse, upstream: ClientWebSocketResponse, session: Session
) -> None:
    """Pass messages both ways until either side ends."""
    ways = [
        asyncio.ensure_future(_pass_on(caller, upstream, None)),  # noqa: TID251 both end here
        asyncio.ensure_future(_pass_on(upstream, caller, session)),  # noqa: TID251 both end here
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    for way in ways:
        if not way.cancelled() and way.exception() is not None:
            raise way.exception() or RuntimeError


async def _pass_on(
    source: web.WebSocketResponse | ClientWebSocketResponse,
    sink: web.WebSocketResponse | ClientWebSocketResponse,
    session: Session | None,
) -> None:
    message: WSMessage
    async for message in source:
        try:
            if message.type is WSMsgType.TEXT:
                if session is not None:
                    session.read(message.data)
                await sink.send_str(message.data)
                if session is not None and session.is_due and not await session.renew():
                    return
            elif message.type is WSMsgType.BINARY:
                await sink.send_bytes(message.data)
        except (ConnectionError, RuntimeError):
            return  # the other side has gone


def _choose(ctx: RequestContext) -> Choice:
    """Return where the session goes; raises 403 or 404 for a model the caller may not use."""
    if ctx.key is None:
        raise RuntimeError("a session needs a key")
    check_model(ctx.key, ctx.endpoint, ctx.model)
    models = ctx.live.models_of(ctx.key.tenant)
    if ctx.model not in models and not ctx.live.snapshot.default_upstream:
        raise unknown_model(ctx.model, models)
    return choose_upstream(ctx.live, ctx.model, None, ctx.key.tenant)


def _plain_headers(request: web.Request) -> dict[str, str]:
    """The caller's headers without those of its own handshake, one of which may hold its key."""
    return {
        name: value
        for name, value in request.headers.items()
        if not name.lower().startswith("sec-websocket-")
    }
