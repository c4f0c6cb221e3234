"""The life of a request. Read this first.

auth -> admit -> read -> decide -> cache -> upstream -> reply, and an END for every START whatever
happens. Called by routes.py for every data-plane endpoint.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from config.clock import Clock
from config.metrics import Metrics
from config.tasks import TaskOwner
from ledger.events import Outcome
from ledger.segment_log import LogWriteError
from optimizer.caching import DocumentTooDeepError, request_digest, scope_parts
from optimizer.decide import RequestFacts, decide
from optimizer.decision import CachePlan, Decision
from optimizer.session import opening_of, session_of, subject_hash, subjects_of, user_of
from policies.snapshot import KeyRecord
from proxy.answers import StoredAnswer
from proxy.auth import identify
from proxy.cache import AnswerCache, ending_document, may_be_stored
from proxy.context import RequestContext
from proxy.dialects.dialect import Dialect
from proxy.document_reply import reply_document, reply_stored_document, stored_document
from proxy.errors import ClientGoneError, GatewayError, InvalidRequestError, error_response
from proxy.intake import parse_body, read_body, read_wishes
from proxy.limits import ConcurrencyGate
from proxy.live import LiveSnapshot, SnapshotHolder
from proxy.models import unknown_model
from proxy.recorder import Recorder
from proxy.refusals import RelayedError
from proxy.reply_headers import apex_headers
from proxy.stream_reply import StreamReply, drain
from proxy.upstream import UpstreamAnswer, UpstreamCaller

logger = logging.getLogger(__name__)

CLIENT_CLOSED_STATUS = 499
IDEMPOTENCY_TTL_S = 86_400


@dataclass(slots=True)
class Pipeline:
    """The stages of one proxy process, wired by role.py."""

    holder: SnapshotHolder
    gate: ConcurrencyGate
    cache: AnswerCache
    upstream: UpstreamCaller
    recorder: Recorder
    metrics: Metrics
    clock: Clock
    tasks: TaskOwner
    is_draining: bool = False
    open_streams: int = 0

    async def handle(
        self,
        request: web.Request,
        dialect: Dialect,
        *,
        model: str = "",
        is_streaming: bool = False,
    ) -> web.StreamResponse:
        """Answer one call; errors become replies in the caller's shape.

        `model` and `is_streaming` are what the path says, where it does.
        """
        ctx = RequestContext(
            request_id=new_request_id(),
            dialect=dialect,
            started=self.clock.monotonic(),
            live=self.holder.live,
            model=model,
            is_streaming=is_streaming,
        )
        try:
            response = await self._handle_recorded(ctx, request)
        except LogWriteError as error:
            unwritable = self._unwritable(error)
            response = error_response(unwritable, apex_headers(ctx), dialect.error_shape)
        if self.is_draining:
            response.force_close()  # the next call of this client goes to another process
        return response

    async def _handle_recorded(
        self, ctx: RequestContext, request: web.Request
    ) -> web.StreamResponse:
        try:
            self._identify(ctx, request)
            return await self._admitted(ctx, request)
        except GatewayError as error:
            return self._refuse(ctx, error)
        except LogWriteError:
            raise
        except Exception:
            # The traceback names code, never the request: bodies and keys stay out of logs.
            logger.exception("unexpected error in request %s", ctx.request_id)
            hint = "It is logged; retry, and report the request id."
            return self._refuse(ctx, GatewayError(500, "internal_error", "A fault of ours.", hint))

    def _unwritable(self, error: LogWriteError) -> GatewayError:
        """What cannot be recorded is not served: nobody could prove its price."""
        self.metrics.count("apex_log_append_errors_total")
        return GatewayError(503, "usage_log_unwritable", str(error), error.hint)

    def _refuse(self, ctx: RequestContext, error: GatewayError) -> web.Response:
        """Record a refusal that never reached an upstream, and build its reply."""
        if ctx.open_end is None:
            self.recorder.refuse(ctx, _outcome_of(error), error.status, error.code)
            self.metrics.count("apex_refused_total", (error.code,))
        if isinstance(error, RelayedError):
            return error.response(apex_headers(ctx))
        return error_response(error, apex_headers(ctx), ctx.dialect.error_shape)

    def _identify(self, ctx: RequestContext, request: web.Request) -> None:
        """Find out who calls, before anything of the body is read."""
        ctx.key = self.authenticate(request, ctx.live)
        ctx.wishes = read_wishes(request.headers)
        # The operator's tags win: policies and chargeback rely on them.
        ctx.tags = {**ctx.wishes.tags, **ctx.key.tags}
        ctx.deadline = ctx.started + ctx.live.snapshot.timeouts.total_s

    def authenticate(self, request: web.Request, live: LiveSnapshot) -> KeyRecord:
        """Return the caller's key, or count the failure and raise 401."""
        try:
            return identify(request.headers, live.snapshot, live.pepper)
        except GatewayError:
            self.metrics.count("apex_auth_failures_total")
            raise

    async def _admitted(self, ctx: RequestContext, request: web.Request) -> web.StreamResponse:
        """Hold a place at the gate for as long as the answer takes; close every START."""
        key_id = ctx.key.key_id if ctx.key else ""
        limits = ctx.live.snapshot.limits
        self.gate.enter(key_id, limits)
        try:
            parse_body(ctx, await read_body(request, limits.max_body_bytes))
            if ctx.wishes.client_timeout_s and not ctx.is_streaming:
                # A client's read timeout is a pause between bytes: of a stream it bounds no total.
                asked_at = ctx.started + ctx.wishes.client_timeout_s
                ctx.deadline = min(ctx.deadline, asked_at)
            self._decide(ctx)
            if ctx.is_streaming:
                return await self._answer_stream(ctx, request)
            return await self._answer_document(ctx, request)
        except ClientGoneError:
            self._note_departure(ctx)
            return web.Response(status=CLIENT_CLOSED_STATUS)
        except asyncio.CancelledError:
            self._note_departure(ctx)
            raise
        except GatewayError as error:
            if ctx.open_end is not None:
                ctx.open_end.client_status = error.status
            raise
        finally:
            try:
                self.recorder.finish(ctx)
            finally:
                self.gate.leave(key_id)

    def _note_departure(self, ctx: RequestContext) -> None:
        """The caller left: the open attempt ends as client_closed, and so does one never opened."""
        if ctx.open_end is None:
            outcome = Outcome.client_closed
            self.recorder.refuse(ctx, outcome, CLIENT_CLOSED_STATUS, "client_closed")
        elif not ctx.is_recorded and ctx.open_end.outcome is Outcome.internal_error:
            # Otherwise the attempt has its own end already and the caller left during a pause.
            ctx.open_end.outcome = Outcome.client_closed
            ctx.open_end.client_status = CLIENT_CLOSED_STATUS

    def _decide(self, ctx: RequestContext) -> None:
        """Let the policy choose models and cache; fill in what the event must carry."""
        if ctx.model not in ctx.live.snapshot.models:
            raise unknown_model(ctx.model, ctx.live.snapshot.models)
        key = ctx.key
        if key is None:
            raise RuntimeError("a decision needs a tenant")
        user, keys = user_of(ctx.doc), ctx.live.tenant_keys(key.tenant)
        opening = b"" if ctx.wishes.session or user else opening_of(ctx.doc)
        session, ctx.session_source = session_of(ctx.wishes.session, user, opening)
        ctx.session_hash = subject_hash(keys.subject_key, session)
        ctx.user_hash = subject_hash(keys.subject_key, user)
        ctx.salt_epoch = self.holder.epoch
        active, candidate = ctx.live.policies_of(key.tenant)
        ctx.draws = ctx.live.draw(
            ctx.salt_epoch, key.tenant, session, has_candidate=candidate is not None
        )
        decision = decide(self._facts(ctx), active, candidate, ctx.draws, ctx.live.snapshot.models)
        ctx.decision = decision
        ctx.targets = ctx.live.targets_of(decision.models)
        subject = "\0".join(subjects_of(ctx.doc))
        scope = scope_parts(decision.cache.scope, key.tenant, key.key_id, subject)
        self._digest(ctx, decision, scope)

    def _facts(self, ctx: RequestContext) -> RequestFacts:
        key, wishes = ctx.key, ctx.wishes
        return RequestFacts(
            endpoint=ctx.endpoint,
            model=ctx.model,
            key_name=key.name if key else "",
            tags=ctx.tags,
            prompt_bytes=len(ctx.body),
            is_streaming=ctx.is_streaming,
            has_tools=bool(ctx.doc.get("tools")),
            latency_objective_ms=wishes.latency_objective_ms,
            max_output_tokens=ctx.max_output_tokens,
            is_deterministic=ctx.is_deterministic,
            is_no_optimize=wishes.is_no_optimize,
            allows_store=ctx.allows_store,
            n=ctx.choices_n,
            cache_control=wishes.cache_control,
        )

    def _digest(self, ctx: RequestContext, decision: Decision, scope: tuple[str, ...]) -> None:
        """Compute the request's key and the digests of its prompt's prefixes."""
        key = ctx.key
        if key is None:
            raise RuntimeError("a digest needs a tenant")
        cache_key = ctx.live.tenant_keys(key.tenant).cache_key
        try:
            first = ctx.targets[0]
            origin = f"{decision.models[0]}\0{first.upstream}\0{first.model}"
            digest = request_digest(ctx.doc, ctx.endpoint, origin, cache_key, scope)
        except DocumentTooDeepError as error:
            raise InvalidRequestError(
                "The body is nested too deeply.", "Flatten it to at most 254 levels."
            ) from error
        ctx.request_key, ctx.prefix_blocks = digest.request_key, digest.prefix_blocks
        if ctx.wishes.idempotency_key and "no-store" not in ctx.wishes.cache_control.lower():
            ctx.body_digest = hashlib.sha256(ctx.body).hexdigest()[:32]
            name = f"idempotency/{key.key_id}/{ctx.endpoint}/{ctx.wishes.idempotency_key}"
            ctx.request_key = hmac.digest(cache_key, name.encode(), "sha256").hex()[:32]

    def _plan(self, ctx: RequestContext) -> CachePlan:
        """Return the decision's cache plan, or the one an Idempotency-Key asks for."""
        if ctx.body_digest:
            return CachePlan(
                reads=True, writes=True, joins_flights=True, ttl_s=IDEMPOTENCY_TTL_S,
                scope="key", max_age_s=None, reason="idempotency",
            )  # fmt: skip
        if ctx.decision is None:
            raise RuntimeError("a plan needs a decision")
        return ctx.decision.cache

    async def _find(self, ctx: RequestContext, plan: CachePlan) -> StoredAnswer | None:
        answer = await self.cache.find(ctx, plan)
        if answer is not None and answer.body_digest != ctx.body_digest and ctx.body_digest:
            raise GatewayError(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key was used with another body.",
                "Send a new key for a new request.",
                param="Idempotency-Key",
            )
        return answer

    async def _answer_document(
        self, ctx: RequestContext, request: web.Request
    ) -> web.StreamResponse:
        plan = self._plan(ctx)
        landed: StoredAnswer | None = None
        try:
            stored = await self._find(ctx, plan)
            if stored is not None:
                return reply_stored_document(ctx, request, stored, self.recorder)
            answer = await self.upstream.call(ctx, request.headers)
            response = reply_document(ctx, request, answer, self.recorder)
            if plan.writes and self._may_keep(ctx, answer, answer.document):
                landed = stored_document(ctx, answer, self.clock)
            return response
        finally:
            self.cache.land(ctx, plan, landed)

    def _may_keep(
        self, ctx: RequestContext, answer: UpstreamAnswer, document: Mapping[str, Any] | None
    ) -> bool:
        """Return whether a complete answer may be given to others or again.

        The key names the first target of the decision: an answer of any other is not its own.
        """
        if document is None or ctx.decision is None:
            return False
        if ctx.body_digest:
            return True
        return answer.target == ctx.targets[0] and may_be_stored(ctx.endpoint, document)

    async def _answer_stream(self, ctx: RequestContext, request: web.Request) -> web.StreamResponse:
        plan = self._plan(ctx)
        ctx.keeps_answer = plan.writes
        self.open_streams += 1
        reply = StreamReply(ctx, request, self.recorder, self.metrics, self.clock, self.tasks)
        landed: StoredAnswer | None = None
        try:
            stored = await self._find(ctx, plan)
            reply.refresh_headers()
            if stored is not None:
                await reply.stop_waiting()
                await reply.replay(stored)
            else:
                landed = await self._stream_from_upstream(ctx, request, reply)
        except ClientGoneError:
            raise
        except Exception as error:
            await reply.stop_waiting()
            if not reply.has_begun:
                raise
            await self._fail_in_stream(ctx, reply, error)
        finally:
            self.open_streams -= 1
            self.cache.land(ctx, plan, landed)
            await reply.stop_waiting()
        return reply.response

    async def _fail_in_stream(
        self, ctx: RequestContext, reply: StreamReply, error: Exception
    ) -> None:
        """Headers are out: END first, then the error as the stream's last event."""
        if isinstance(error, LogWriteError):
            error = self._unwritable(error)
        elif not isinstance(error, GatewayError):
            logger.error("unexpected error in stream %s", ctx.request_id, exc_info=error)
            error = GatewayError(500, "internal_error", "The gateway failed.")
        try:
            self._refuse(ctx, error)
            if ctx.open_end is not None:
                ctx.open_end.client_status = 200
            self.recorder.finish(ctx)
        except LogWriteError:
            self.metrics.count("apex_log_append_errors_total")
        await reply.fail(error)

    async def _stream_from_upstream(
        self, ctx: RequestContext, request: web.Request, reply: StreamReply
    ) -> StoredAnswer | None:
        """Relay an upstream's stream; returns it whole when others may have it too."""
        answer = await self.upstream.call(ctx, request.headers)
        await reply.stop_waiting()
        if answer.tap is None and not ctx.dialect.usage_is_asked_for:
            raise GatewayError(502, "upstream_unusable_answer", "The upstream sent no stream.")
        if answer.tap is None:
            whole = stored_document(ctx, answer, self.clock)
            await reply.send_document(whole, answer.end)
            return whole if self._may_keep(ctx, answer, answer.document) else None
        try:
            landed = await reply.relay(answer)
        except BaseException:
            if answer.reply is not None:
                answer.reply.close()
            raise
        if answer.tap.is_done:
            self.tasks.start(drain(answer), "drain")
        elif answer.reply is not None:
            answer.reply.close()
        ending = ending_document(ctx.endpoint, answer.end.finish_reasons)
        return landed if self._may_keep(ctx, answer, ending) else None


def _outcome_of(error: GatewayError) -> Outcome:
    """How a request that never reached an upstream ended."""
    if error.code == "internal_error":
        return Outcome.internal_error
    return Outcome.upstream_unreachable if error.code == "upstream_unavailable" else Outcome.refused


def new_request_id() -> str:
    """An id nobody can guess: it is also the name of the usage events."""
    return f"req_{secrets.token_hex(16)}"
