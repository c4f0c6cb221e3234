"""The life of a request. Read this first.

auth -> admit -> read -> decide -> cache -> upstream -> reply, and an END for every START whatever
happens. Called by routes.py for every data-plane endpoint.
"""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from config.clock import Clock
from config.metrics import Metrics
from config.tasks import TaskOwner
from ledger.segment_log import LogWriteError
from optimizer.caching import (
    DocumentTooDeepError,
    is_cacheable_answer,
    request_digest,
    scope_parts,
)
from optimizer.decide import RequestFacts, decide
from optimizer.decision import CachePlan, Decision
from optimizer.session import opening_of, session_of, subject_hash, subjects_of, user_of
from proxy.admission import Admission
from proxy.answer_reading import UpstreamAnswer
from proxy.answers import StoredAnswer
from proxy.cache import AnswerCache
from proxy.context import RequestContext
from proxy.dialects.dialect import Dialect
from proxy.document_reply import reply_document, reply_stored_document, stored_document
from proxy.errors import ClientGoneError, GatewayError, InvalidRequestError
from proxy.intake import parse_body, read_body
from proxy.models import unknown_model
from proxy.recorder import Recorder
from proxy.resources.ownership import OwnershipMap
from proxy.resources.references import check_references, may_refer
from proxy.stream_reply import StreamReply, drain
from proxy.upstream import UpstreamCaller

logger = logging.getLogger(__name__)

IDEMPOTENCY_TTL_S = 86_400


@dataclass(slots=True)
class Pipeline:
    """The stages of one proxy process, wired by role.py."""

    admission: Admission
    ownership: OwnershipMap
    cache: AnswerCache
    upstream: UpstreamCaller
    recorder: Recorder
    metrics: Metrics
    clock: Clock
    tasks: TaskOwner
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
        ctx = self.admission.open(dialect)
        ctx.model, ctx.is_streaming = model, is_streaming
        return await self.admission.run(ctx, request, self._answer)

    async def _answer(self, ctx: RequestContext, request: web.Request) -> web.StreamResponse:
        """Read, decide, answer; called with a place at the gate."""
        parse_body(ctx, await read_body(request, ctx.live.snapshot.limits.max_body_bytes))
        if ctx.wishes.client_timeout_s and not ctx.is_streaming:
            # A client's read timeout is a pause between bytes: of a stream it bounds no total.
            asked_at = ctx.started + ctx.wishes.client_timeout_s
            ctx.deadline = min(ctx.deadline, asked_at)
        self._pin(ctx)
        self._decide(ctx)
        if ctx.is_streaming:
            return await self._answer_stream(ctx, request)
        return await self._answer_document(ctx, request)

    def _pin(self, ctx: RequestContext) -> None:
        """Find out whether the request refers to what one upstream keeps; 404 when not its own."""
        if ctx.key is not None and may_refer(ctx.endpoint, ctx.body):
            ctx.pinned = check_references(ctx.doc, ctx.key.tenant, self.ownership)

    def _decide(self, ctx: RequestContext) -> None:
        """Let the policy choose models and cache; fill in what the event must carry."""
        if ctx.model not in ctx.live.snapshot.models:
            raise unknown_model(ctx.model, ctx.live.snapshot.models)
        key = ctx.key
        if key is None:
            raise RuntimeError("a decision needs a tenant")
        user, keys = user_of(ctx.doc, ctx.endpoint), ctx.live.tenant_keys(key.tenant)
        opening = b"" if ctx.wishes.session or user else opening_of(ctx.doc, ctx.endpoint)
        session, ctx.session_source = session_of(ctx.wishes.session, user, opening)
        ctx.session_hash = subject_hash(keys.subject_key, session)
        ctx.user_hash = subject_hash(keys.subject_key, user)
        ctx.salt_epoch = self.admission.holder.epoch
        active, candidate = ctx.live.policies_of(key.tenant)
        ctx.draws = ctx.live.draw(
            ctx.salt_epoch, key.tenant, session, has_candidate=candidate is not None
        )
        decision = decide(self._facts(ctx), active, candidate, ctx.draws, ctx.live.snapshot.models)
        ctx.decision = decision
        ctx.targets = ctx.live.targets_of(decision.models)
        if ctx.pinned is not None:
            upstream = ctx.pinned.upstream
            here = tuple(target for target in ctx.targets if target.upstream == upstream)
            if not here:
                raise InvalidRequestError(
                    f"The objects referred to live at another upstream than {ctx.model}.",
                    "Use the model they were made with.",
                    param="model",
                )
            ctx.targets = here
        subject = "\0".join(subjects_of(ctx.doc, ctx.endpoint))
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
            is_pinned=ctx.pinned is not None,
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
            digest = request_digest(
                ctx.doc, ctx.endpoint, origin, cache_key, scope, is_streaming=ctx.is_streaming
            )
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
        return answer.target == ctx.targets[0] and is_cacheable_answer(ctx.endpoint, document)

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
            error = self.admission.unwritable(error)
        elif not isinstance(error, GatewayError):
            logger.error("unexpected error in stream %s", ctx.request_id, exc_info=error)
            error = GatewayError(500, "internal_error", "The gateway failed.")
        try:
            self.admission.refuse(ctx, error)
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
        if answer.tap is None and not ctx.dialect.has_twins:
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
        ending = ctx.dialect.ending(answer.tap)
        return landed if self._may_keep(ctx, answer, ending) else None
