"""Calls upstreams until one answers well: targets in order, retries, breaker, one deadline.

Called by pipeline.py. Returns an answer whose first bytes are good; everything before that is
invisible to the caller. Each attempt opens with START and leaves its END to the recorder.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from config.clock import Clock
from config.metrics import Metrics
from ledger.events import AttemptEnd, Outcome
from policies.snapshot import Target
from proxy.bodies import injects_usage
from proxy.breaker import Breaker, Breakers
from proxy.context import RequestContext
from proxy.dialects.dialect import AnswerFacts, StreamTap
from proxy.errors import GatewayError
from proxy.providers.calls import Prepared, prepare_call
from proxy.providers.translation import StreamTranslator, Translator, UntranslatableError
from proxy.recorder import Recorder, put_usage
from proxy.refusals import refusal_of
from proxy.retry import (
    Failure,
    RetryBudget,
    Standing,
    failure_of_fault,
    failure_of_status,
    next_step,
    timed_out,
    untranslatable,
    unusable,
)
from proxy.streaming.framing import OversizedEventError
from proxy.upstream_client import UpstreamCall, UpstreamClient, UpstreamFault, UpstreamReply

LARGEST_ANSWER_BYTES = 67_108_864
LARGEST_ERROR_BYTES = 1_048_576
LARGEST_PRELUDE_BYTES = 1_048_576  # comments before the first event
LEAST_DEADLINE_S = 0.05
STREAM_TYPES = ("text/event-stream", "application/vnd.amazon.eventstream")


@dataclass(slots=True)
class UpstreamAnswer:
    """An answer good enough to give: a whole document, or a stream with its first events."""

    target: Target
    end: AttemptEnd
    headers: Mapping[str, str]
    status: int
    body: bytes = b""
    document: dict[str, Any] | None = None
    tap: StreamTap | None = None
    translation: StreamTranslator | None = None
    first: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    reply: UpstreamReply | None = None


class AttemptFailedError(Exception):
    """One attempt brought nothing; `failure` says what that means."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class UpstreamCaller:
    """Runs the attempts of requests."""

    def __init__(
        self, client: UpstreamClient, recorder: Recorder, clock: Clock, metrics: Metrics
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._metrics = metrics
        self.breakers = Breakers()
        self._budget = RetryBudget()

    async def call(self, ctx: RequestContext, caller: Mapping[str, str]) -> UpstreamAnswer:
        """Return the first good answer, or raise the GatewayError the caller gets instead."""
        self._budget.earn()
        last: Failure | None = None
        targets = list(ctx.targets)
        while targets:
            target = targets[0]
            breaker = self.breakers.of(target.upstream)
            if not breaker.allows(self._clock.monotonic()):
                targets.pop(0)
                continue
            answer, last = await self._call_target(ctx, caller, target, has_other=len(targets) > 1)
            if answer is not None:
                return answer
            if last is None or not self._may_move_on(ctx, last, targets):
                break
            targets.pop(0)
            self._metrics.count("apex_retries_total", ("fallback",))
        raise self._refusal(ctx, last)

    def _may_move_on(self, ctx: RequestContext, failure: Failure, targets: list[Target]) -> bool:
        standing = self._standing(ctx, 1, has_other=len(targets) > 1)
        return (
            failure.cure != "none"
            and len(targets) > 1
            and next_step(failure, standing, 0.0).action != "give_up"
        )

    async def _call_target(
        self, ctx: RequestContext, caller: Mapping[str, str], target: Target, *, has_other: bool
    ) -> tuple[UpstreamAnswer | None, Failure | None]:
        """Try one target, with retries; returns its answer, or its last failure."""
        breaker = self.breakers.of(target.upstream)
        tries = 0
        while True:
            tries += 1
            is_probe = breaker.is_probing  # `allows` has just said so of this very call
            try:
                answer = await self._attempt(ctx, caller, target)
            except AttemptFailedError as error:
                failure = error.failure
            except BaseException:
                breaker.abandon(is_probe=is_probe)
                raise
            else:
                breaker.succeed(is_probe=is_probe)
                return answer, None
            self._judge(breaker, failure, is_probe=is_probe)
            standing = self._standing(ctx, tries, has_other=has_other)
            step = next_step(failure, standing, random.random())  # noqa: S311 spreads load only
            if step.action != "retry":
                return None, failure
            self._budget.spend()
            self._metrics.count("apex_retries_total", ("retry",))
            await asyncio.sleep(step.wait_s)
            if not breaker.allows(self._clock.monotonic()):
                return None, failure

    def _judge(self, breaker: Breaker, failure: Failure, *, is_probe: bool) -> None:
        """Tell the breaker what a failure says about the upstream's health."""
        if failure.is_callers_haste or failure.outcome is Outcome.refused:
            breaker.abandon(is_probe=is_probe)
        elif failure.is_upstream_sick:
            breaker.fail(self._clock.monotonic(), is_probe=is_probe)
        else:
            breaker.succeed(is_probe=is_probe)

    def _standing(self, ctx: RequestContext, tries_here: int, *, has_other: bool) -> Standing:
        return Standing(
            attempts=ctx.attempts,
            tries_here=tries_here,
            has_other_target=has_other,
            remaining_s=ctx.deadline - self._clock.monotonic(),
            has_retry_budget=not self._budget.is_empty,
        )

    def _refusal(self, ctx: RequestContext, failure: Failure | None) -> GatewayError:
        if failure is not None:
            return refusal_of(
                failure, has_retried=ctx.attempts > 1, upstream=self._last_upstream(ctx)
            )
        names = [target.upstream for target in ctx.targets]
        wait_s = self.breakers.retry_after_s(names, self._clock.monotonic())
        return GatewayError(
            503,
            "upstream_unavailable",
            "Every upstream for this model failed repeatedly and is left alone for a moment.",
            f"Retry in {wait_s:.0f} s, or have the operator declare another upstream.",
            headers={"Retry-After": f"{wait_s:.0f}"},
        )

    def _last_upstream(self, ctx: RequestContext) -> str:
        return ctx.open_end.upstream if ctx.open_end is not None else ""

    async def _attempt(
        self, ctx: RequestContext, caller: Mapping[str, str], target: Target
    ) -> UpstreamAnswer:
        """Make one call; raises AttemptFailedError."""
        door = ctx.live.doors[target.upstream]
        try:
            prepared = prepare_call(
                ctx, target, door, caller, f"{ctx.request_id}.{ctx.attempts + 1}"
            )
        except UntranslatableError as error:
            raise AttemptFailedError(untranslatable(error.message, error.hint)) from error
        end = self._recorder.open(ctx, target)
        # A whole answer has no first token to wait for: its deadline is the request's own.
        timeouts = ctx.live.snapshot.timeouts
        patience_s = timeouts.first_token_s if ctx.is_streaming else timeouts.total_s
        remaining_s = max(LEAST_DEADLINE_S, ctx.deadline - self._clock.monotonic())
        deadline_s = min(patience_s, remaining_s)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._call_once(ctx, prepared, target, end)
        except UpstreamFault as fault:
            raise self._failed(end, failure_of_fault(fault)) from fault
        except TimeoutError as error:
            # Less than the operator's patience tells of the caller's haste, not of the upstream.
            is_haste = deadline_s < patience_s * 0.9
            failure = timed_out(f"no answer within {deadline_s:.1f} s", is_callers_haste=is_haste)
            raise self._failed(end, failure) from error
        except OversizedEventError as error:
            raise self._failed(end, unusable(f"Upstream: {error}.")) from error

    async def _call_once(
        self, ctx: RequestContext, prepared: Prepared, target: Target, end: AttemptEnd
    ) -> UpstreamAnswer:
        door = ctx.live.doors[target.upstream]
        call = UpstreamCall(
            url=prepared.url,
            headers=prepared.headers,
            body=prepared.body,
            connect_s=ctx.live.snapshot.timeouts.connect_s,
            allows_private=door.allows_private,
        )
        reply = await self._client.send(call)
        try:
            return await self._read_answer(ctx, target, prepared, end, reply)
        except BaseException:
            reply.close()
            raise

    async def _read_answer(
        self,
        ctx: RequestContext,
        target: Target,
        prepared: Prepared,
        end: AttemptEnd,
        reply: UpstreamReply,
    ) -> UpstreamAnswer:
        end.upstream_status = reply.status
        headers = reply.headers
        end.upstream_request_id = (headers.get("x-request-id") or headers.get("request-id", ""))[
            :128
        ]
        end.first_byte_us = self._recorder.since_us(ctx)
        if not 200 <= reply.status < 300:
            body = await reply.read(LARGEST_ERROR_BYTES)
            body = translated_error(body, prepared.translator)
            failure = failure_of_status(reply.status, headers, body, self._clock.now())
            raise self._failed(end, failure)
        if headers.get("Content-Type", "").startswith(STREAM_TYPES):
            if not ctx.is_streaming:
                message = "The upstream sent a stream that nobody asked for."
                raise self._failed(end, unusable(message))
            return await self._open_stream(ctx, target, prepared, end, reply)
        body = await reply.read(LARGEST_ANSWER_BYTES)
        return self._read_document(ctx, prepared, target, end, reply, body)

    def _read_document(
        self,
        ctx: RequestContext,
        prepared: Prepared,
        target: Target,
        end: AttemptEnd,
        reply: UpstreamReply,
        body: bytes,
    ) -> UpstreamAnswer:
        reply.close()
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            message = "The upstream's answer is not JSON."
            raise self._failed(end, unusable(message)) from error
        if not isinstance(document, dict) or document.get("error"):
            raise self._failed(end, unusable("The upstream answered 200 with an error."))
        try:
            usage = raw_usage(document) if prepared.translator else None
            if prepared.translator is not None:
                document = prepared.translator.answer(document, ctx.doc)
                body = orjson.dumps(document)
            facts = ctx.dialect.read_answer(document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # Translators meet whatever an upstream calls an answer.
            message = "The upstream's answer has another shape."
            raise self._failed(end, unusable(message)) from error
        self._put_facts(ctx, end, facts, usage)
        end.response_bytes = len(body)
        return UpstreamAnswer(
            target=target,
            end=end,
            headers=reply.headers,
            status=reply.status,
            body=body,
            document=document,
        )

    def _put_facts(
        self,
        ctx: RequestContext,
        end: AttemptEnd,
        facts: AnswerFacts,
        usage: Mapping[str, Any] | None,
    ) -> None:
        """Note on the END what the answer says of itself; the provider's own usage comes first."""
        end.served_model = facts.model or end.upstream_model
        end.served_tier = facts.service_tier
        end.finish_reasons = facts.finish_reasons
        if ctx.dialect.is_free:
            end.usage_source = "none"
        else:
            put_usage(end, usage or facts.usage, self._metrics)

    async def _open_stream(
        self,
        ctx: RequestContext,
        target: Target,
        prepared: Prepared,
        end: AttemptEnd,
        reply: UpstreamReply,
    ) -> UpstreamAnswer:
        """Wait for the first real event: until then a failure can still be hidden."""
        keeps = ctx.live.snapshot.cache.max_entry_bytes if ctx.keeps_answer else 0
        if ctx.dialect.open_tap is None:
            raise self._failed(end, unusable("The upstream sent a stream that nobody asked for."))
        translation = prepared.translator.stream(ctx.doc) if prepared.translator else None
        door = ctx.live.doors[target.upstream]
        tap = ctx.dialect.open_tap(injects_usage(ctx, door), keeps)
        chunks = reply.chunks()
        if translation is not None:
            chunks = translated(chunks, translation)
        first = b""
        async for chunk in chunks:
            first += tap.feed(chunk)
            if tap.has_events or tap.is_done or tap.error or len(first) > LARGEST_PRELUDE_BYTES:
                break
        if tap.error is not None or not tap.has_events:
            what = "opened with an error" if tap.error else "was empty"
            raise self._failed(end, unusable(f"The upstream's stream {what}."))
        end.first_byte_us = self._recorder.since_us(ctx)
        end.served_model = tap.model or target.model
        return UpstreamAnswer(
            target=target,
            end=end,
            headers=reply.headers,
            status=reply.status,
            tap=tap,
            translation=translation,
            first=first,
            chunks=chunks,
            reply=reply,
        )

    def _failed(self, end: AttemptEnd, failure: Failure) -> AttemptFailedError:
        """Note on the END what went wrong."""
        end.outcome = failure.outcome
        end.error_code = failure.code
        end.usage_source = "unknown" if failure.may_have_run else "none"
        if failure.retry_after_s is not None:
            end.retry_after_ms = int(failure.retry_after_s * 1000)
        return AttemptFailedError(failure)


async def translated(
    chunks: AsyncIterator[bytes], translation: StreamTranslator
) -> AsyncIterator[bytes]:
    """Pass a stream through a translation; what is not yet a whole event waits in there."""
    async for chunk in chunks:
        out = translation.feed(chunk)
        if out:
            yield out


def translated_error(body: bytes, translator: Translator | None) -> bytes:
    """Return an error in the caller's dialect where it is one of the upstream's dialect."""
    if translator is None:
        return body
    try:
        document = orjson.loads(body)
        error = translator.error(document) if isinstance(document, dict) else None
    except ValueError:
        return b""
    return orjson.dumps(error) if error is not None else b""


def raw_usage(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the provider's own usage block of an answer, whatever its dialect calls it."""
    usage = document.get("usage") or document.get("usageMetadata")
    return usage if isinstance(usage, dict) else None
