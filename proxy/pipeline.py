"""The life of a request. Read this first.

auth -> admit -> read -> decide -> cache -> upstream -> reply, and an END for every START whatever
happens. Called by routes.py for every data-plane endpoint.
"""

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from config.clock import Clock
from config.metrics import Metrics
from config.tasks import TaskOwner
from ledger.segment_log import LogWriteError
from optimizer.caching import is_cacheable_answer
from optimizer.decision import CachePlan
from proxy.admission import Admission, Incoming
from proxy.answer_reading import UpstreamAnswer
from proxy.answers import StoredAnswer
from proxy.cache import AnswerCache
from proxy.context import RequestContext
from proxy.dialects.dialect import Dialect
from proxy.document_reply import reply_document, reply_stored_document, stored_document
from proxy.errors import ClientGoneError, GatewayError
from proxy.front import DirectRequest
from proxy.intake import check_size, read_body
from proxy.reading import NO_PATH, RequestReader
from proxy.ready_response import ReadyResponse
from proxy.recorder import Recorder
from proxy.stream_reply import StreamReply, drain
from proxy.upstream import UpstreamCaller

logger = logging.getLogger(__name__)

IDEMPOTENCY_TTL_S = 86_400


@dataclass(slots=True)
class Pipeline:
    """The stages of one proxy process, wired by role.py."""

    admission: Admission
    reader: RequestReader
    cache: AnswerCache
    upstream: UpstreamCaller
    recorder: Recorder
    metrics: Metrics
    clock: Clock
    tasks: TaskOwner
    open_streams: int = 0

    def handle(
        self,
        request: Incoming,
        dialect: Dialect,
        *,
        model: str = "",
        is_streaming: bool = False,
    ) -> Awaitable[web.StreamResponse]:
        """Answer one call, when awaited; errors become replies in the caller's shape.

        `model` and `is_streaming` are what the path says, where it does.
        """
        ctx = self.admission.open(dialect)
        if model:
            ctx.model, ctx.is_streaming = model, is_streaming
            ctx.path_says = model, is_streaming
        return self.admission.run(ctx, request, self._answer)

    def answer_at_hand(self, request: DirectRequest, dialect: Dialect) -> ReadyResponse | None:
        """Return a stored document to bytes that the same caller sent before.

        None when there is none, or when anything is out of the ordinary: `handle` sees to it then.
        """
        admission = self.admission
        caller = admission.holder.live.callers.get((request.head, request.token))
        if caller is None or caller.rules is not None or admission.is_draining:
            return None
        known = self.reader.find_known(caller, dialect, request.body)
        if known is None or known.get("is_streaming"):
            return None
        ctx = admission.open(dialect)
        ctx.take_caller(caller)
        ctx.__dict__.update(known)
        stored = self.cache.peek(ctx, self._plan(ctx))
        if stored is None:
            return None
        try:
            reply = reply_stored_document(ctx, request, stored, self.recorder)
        except LogWriteError:
            return None
        return reply if type(reply) is ReadyResponse else None

    async def _answer(self, ctx: RequestContext, request: Incoming) -> web.StreamResponse:
        """Read, decide, answer; called with a place at the gate."""
        limit_bytes = ctx.live.snapshot.limits.max_body_bytes
        if isinstance(request, DirectRequest):
            body = check_size(request.body, limit_bytes)
        else:
            body = await read_body(request, limit_bytes)
        self._read(ctx, body)
        if ctx.caller is not None and ctx.caller.rules is not None:
            await self.admission.governor.admit(ctx, ctx.caller.rules)
        if ctx.is_streaming:
            return await self._answer_stream(ctx, request)
        if ctx.wishes.client_timeout_s:
            # A client's read timeout is a pause between bytes: of a stream it bounds no total.
            ctx.deadline = min(ctx.deadline, ctx.started + ctx.wishes.client_timeout_s)
        return await self._answer_document(ctx, request)

    def _read(self, ctx: RequestContext, body: bytes) -> None:
        if ctx.caller is not None and ctx.path_says == NO_PATH:
            known = self.reader.find_known(ctx.caller, ctx.dialect, body)
            if known is not None:
                ctx.__dict__.update(known)
                ctx.is_known = True
                return
        self.reader.read(ctx, body)

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
        if answer is None:
            return None
        if ctx.body_digest and answer.body_digest != ctx.body_digest:
            raise GatewayError(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key was used with another body.",
                "Send a new key for a new request.",
                param="Idempotency-Key",
            )
        if not ctx.is_known:
            self.reader.remember(ctx)
        return answer

    async def _answer_document(self, ctx: RequestContext, request: Incoming) -> web.StreamResponse:
        plan = self._plan(ctx)
        landed: StoredAnswer | None = None
        try:
            if plan.reads:
                stored = await self._find(ctx, plan)
            else:
                self.cache.skip(ctx, plan)
                stored = None
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

    async def _answer_stream(self, ctx: RequestContext, request: Incoming) -> web.StreamResponse:
        plan = self._plan(ctx)
        ctx.keeps_answer = plan.writes
        self.open_streams += 1
        whole = request.whole() if isinstance(request, DirectRequest) else request
        reply = StreamReply(ctx, whole, self.recorder, self.metrics, self.clock, self.tasks)
        landed: StoredAnswer | None = None
        try:
            stored = await self._find(ctx, plan)
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
        self, ctx: RequestContext, request: Incoming, reply: StreamReply
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
        if answer.reply is not None and answer.tap.is_done and not answer.reply.is_over:
            self.tasks.start(drain(answer), "drain")
        elif answer.reply is not None:
            answer.reply.close()
        ending = ctx.dialect.ending(answer.tap)
        return landed if self._may_keep(ctx, answer, ending) else None
