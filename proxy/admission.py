"""Who may call, and what happens around every call: the one way in for all of the data plane.

Used by pipeline.py and resources/relay.py. It identifies the caller, holds a place at the gate,
turns every error into a reply, and leaves no START without its END.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from config.clock import Clock
from config.metrics import Metrics
from ledger.events import Outcome
from ledger.segment_log import LogWriteError
from policies.snapshot import KeyRecord
from proxy.auth import (
    UnknownKeyError,
    bearer_of,
    check_expiry,
    closed,
    explain_unknown,
    identify_token,
)
from proxy.callers import Caller, name_of
from proxy.context import RequestContext
from proxy.dialects.dialect import Dialect
from proxy.errors import ClientGoneError, GatewayError, error_response
from proxy.front import DirectRequest
from proxy.governor import Governor
from proxy.intake import read_wishes
from proxy.limits import ConcurrencyGate
from proxy.live import LiveSnapshot, SnapshotHolder
from proxy.recorder import Recorder
from proxy.refusals import RelayedError
from proxy.reply_headers import apex_headers
from proxy.scopes import check_endpoint

logger = logging.getLogger(__name__)

CLIENT_CLOSED_STATUS = 499
IDS_AT_ONCE = 128
Incoming = web.Request | DirectRequest
Answering = Callable[[RequestContext, Any], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Admission:
    """The way in of one proxy process."""

    holder: SnapshotHolder
    gate: ConcurrencyGate
    recorder: Recorder
    metrics: Metrics
    clock: Clock
    governor: Governor
    is_draining: bool = False

    def open(self, dialect: Dialect) -> RequestContext:
        """Begin a request; it keeps to the snapshot of this moment."""
        return RequestContext(new_request_id(), dialect, self.clock.monotonic(), self.holder.live)

    async def run(
        self, ctx: RequestContext, request: Incoming, answer: Answering
    ) -> web.StreamResponse:
        """Let an admitted caller's request be answered; errors become replies in its shape.

        It holds a place at the gate for as long as the answer takes, and closes every START.
        """
        try:
            key_id = self._identify(ctx, request)
            self.gate.enter(key_id, ctx.live.snapshot.limits)
            try:
                response = await answer(ctx, request)
            except BaseException as error:
                self._note_end(ctx, error)
                raise
            finally:
                try:
                    self.recorder.finish(ctx)
                finally:
                    self.gate.leave(key_id)
                    if ctx.hold is not None:
                        self.governor.settle(ctx)
        except ClientGoneError:
            response = web.Response(status=CLIENT_CLOSED_STATUS)
        except Exception as error:  # noqa: BLE001 all of them are logged or told there
            response = self._explain(ctx, error)
        if self.is_draining:
            response.force_close()  # the next call of this client goes to another process
        return response

    def _note_end(self, ctx: RequestContext, error: BaseException) -> None:
        """Note on an open attempt how its request ended, before it is recorded."""
        if isinstance(error, ClientGoneError | asyncio.CancelledError):
            self._note_departure(ctx)
        elif isinstance(error, GatewayError) and ctx.open_end is not None:
            ctx.open_end.client_status = error.status

    def _explain(self, ctx: RequestContext, error: Exception) -> web.StreamResponse:
        """Record a request that failed, and build the reply that says why."""
        unwritten = error
        if not isinstance(error, GatewayError | LogWriteError):
            # The traceback names code, never the request: bodies and keys stay out of logs.
            logger.error("unexpected error in request %s", ctx.request_id, exc_info=error)
            hint = "It is logged; retry, and report the request id."
            error = GatewayError(500, "internal_error", "A fault of ours.", hint)
        if isinstance(error, GatewayError):
            try:
                return self.refuse(ctx, error)
            except LogWriteError as failure:
                unwritten = failure
        shape = ctx.dialect.error_shape
        return error_response(self.unwritable(unwritten), apex_headers(ctx), shape)

    def unwritable(self, error: Exception) -> GatewayError:
        """What cannot be recorded is not served: nobody could prove its price."""
        self.metrics.count("apex_log_append_errors_total")
        hint = error.hint if isinstance(error, LogWriteError) else ""
        return GatewayError(503, "usage_log_unwritable", str(error), hint)

    def refuse(self, ctx: RequestContext, error: GatewayError) -> web.Response:
        """Record a refusal that never reached an upstream, and build its reply."""
        if ctx.open_end is None:
            self.recorder.refuse(ctx, _outcome_of(error), error.status, error.code)
            self.metrics.count("apex_refused_total", (error.code,))
        if isinstance(error, RelayedError):
            return error.response(apex_headers(ctx))
        return error_response(error, apex_headers(ctx), ctx.dialect.error_shape)

    def _identify(self, ctx: RequestContext, request: Incoming) -> str:
        """Find out who calls, before anything of the body is read; returns the key's id."""
        live = ctx.live
        if isinstance(request, DirectRequest):
            name: Hashable = (request.head, request.token)
        else:
            name = name_of(request.raw_headers)
        caller = live.callers.get(name)
        if caller is None:
            caller = self._meet(ctx, request)
            if name is not None:
                live.callers.keep(name, caller)
        ctx.take_caller(caller)
        key = caller.key
        if key.endpoints:
            check_endpoint(key, ctx.endpoint)
        return key.key_id

    def _meet(self, ctx: RequestContext, request: Incoming) -> Caller:
        """Find out who sends these headers with this key."""
        live, headers = ctx.live, request.headers
        if not isinstance(request, DirectRequest):
            ctx.key = key = self.authenticate(headers, live)
            return Caller(headers, key, read_wishes(headers), rules=live.rules_of(key))
        ctx.key = key = self.authenticate(headers, live, request.token)
        head = request.head
        if head.wishes is None:
            head.wishes = read_wishes(headers)
        heads = live.callers.heads_of(head)
        return Caller(headers, key, head.wishes, heads, live.rules_of(key))

    def authenticate(
        self, headers: Mapping[str, str], live: LiveSnapshot, token: str = ""
    ) -> KeyRecord:
        """Return the caller's key, or count the failure and raise 401 or 503.

        `token` is the key where it was taken out of the headers before.
        """
        if live.is_closed:
            raise closed()
        token = token or bearer_of(headers)
        try:
            key = identify_token(token, live.snapshot, live.peppers)
            check_expiry(key, self.clock.now())
        except UnknownKeyError as error:
            self.metrics.count("apex_auth_failures_total")
            is_doubtful = self.holder.freshness.is_doubtful
            raise explain_unknown(error, token, live.revoked, is_doubtful=is_doubtful) from error
        except GatewayError:
            self.metrics.count("apex_auth_failures_total")
            raise
        return key

    def note_early_departure(self, ctx: RequestContext, request: DirectRequest) -> None:
        """Record a known caller who left before its request was whole."""
        try:
            self._identify(ctx, request)
            self._note_departure(ctx)
        except (GatewayError, LogWriteError):
            return  # nobody is there to be told

    def _note_departure(self, ctx: RequestContext) -> None:
        """The caller left: the open attempt ends as client_closed, and so does one never opened."""
        if ctx.open_end is None:
            outcome = Outcome.client_closed
            self.recorder.refuse(ctx, outcome, CLIENT_CLOSED_STATUS, "client_closed")
        elif not ctx.is_recorded and ctx.open_end.outcome is Outcome.internal_error:
            # Otherwise the attempt has its own end already and the caller left during a pause.
            ctx.open_end.outcome = Outcome.client_closed
            ctx.open_end.client_status = CLIENT_CLOSED_STATUS


def _outcome_of(error: GatewayError) -> Outcome:
    """How a request that never reached an upstream ended."""
    if error.code == "internal_error":
        return Outcome.internal_error
    return Outcome.upstream_unreachable if error.code == "upstream_unavailable" else Outcome.refused


def _request_ids() -> Iterator[str]:
    """Ids of 128 random bits, read from the system many at a time: each alone costs a call."""
    while True:
        digits = secrets.token_hex(16 * IDS_AT_ONCE)
        for start in range(0, len(digits), 32):
            yield f"req_{digits[start : start + 32]}"


_unused_ids = _request_ids()


def new_request_id() -> str:
    """An id nobody can guess: it is also the name of the usage events."""
    return next(_unused_ids)
