"""Calls upstreams until one answers well: targets in order, retries, breaker, one deadline.

Called by pipeline.py. Returns an answer whose first bytes are good; everything before that is
invisible to the caller. Each attempt opens with START and leaves its END to the recorder.
"""

import asyncio
import random
from collections.abc import Mapping

from config.clock import Clock
from config.metrics import Metrics
from ledger.events import Outcome
from policies.snapshot import Target
from proxy.answer_reading import AnswerReader, AttemptFailedError, UpstreamAnswer, failed_attempt
from proxy.breaker import Breaker, Breakers
from proxy.context import RequestContext
from proxy.errors import GatewayError
from proxy.providers.calls import Prepared, Preparer
from proxy.providers.translation import UntranslatableError
from proxy.recorder import Recorder
from proxy.refusals import refusal_of
from proxy.resources.ownership import OwnershipMap
from proxy.retry import (
    Failure,
    RetryBudget,
    Standing,
    failure_of_fault,
    next_step,
    timed_out,
    untranslatable,
    unusable,
)
from proxy.streaming.framing import OversizedEventError
from proxy.upstream_client import TimeoutFault, UpstreamCall, UpstreamClient, UpstreamFault

LEAST_DEADLINE_S = 0.05


class UpstreamCaller:
    """Runs the attempts of requests."""

    def __init__(
        self,
        client: UpstreamClient,
        recorder: Recorder,
        ownership: OwnershipMap,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._preparer = Preparer(clock)
        self._reader = AnswerReader(recorder, ownership, clock, metrics)
        self._recorder = recorder
        self._clock = clock
        self._metrics = metrics
        self.breakers = Breakers()
        self._budget = RetryBudget()

    async def call(self, ctx: RequestContext, caller: Mapping[str, str]) -> UpstreamAnswer:
        """Return the first good answer, or raise the GatewayError the caller gets instead."""
        self._budget.earn()
        failure: Failure | None = None
        target = ctx.targets[0]
        if self.breakers.of(target.upstream).is_well:  # the way of nearly every call
            try:
                return await self._attempt(ctx, caller, target)
            except AttemptFailedError as error:
                failure = error.failure
        return await self._persist(ctx, caller, failure)

    async def _persist(
        self, ctx: RequestContext, caller: Mapping[str, str], failure: Failure | None
    ) -> UpstreamAnswer:
        """Try on, target by target; `failure` is that of a first attempt, where there was one."""
        targets = list(ctx.targets)
        last: Failure | None = None
        while targets:
            target = targets[0]
            if failure is None and not self._may_call(target):
                targets.pop(0)
                continue
            has_other = len(targets) > 1
            answer, last = await self._call_target(
                ctx, caller, target, failure, has_other=has_other
            )
            failure = None
            if answer is not None:
                return answer
            if last is None or not self._may_move_on(ctx, last, targets):
                break
            targets.pop(0)
            self._metrics.count("apex_retries_total", ("fallback",))
        raise self._refusal(ctx, last)

    def _may_call(self, target: Target) -> bool:
        return self.breakers.of(target.upstream).allows(self._clock.monotonic())

    def _may_move_on(self, ctx: RequestContext, failure: Failure, targets: list[Target]) -> bool:
        standing = self._standing(ctx, 1, has_other=len(targets) > 1)
        return (
            failure.cure != "none"
            and len(targets) > 1
            and next_step(failure, standing, 0.0).action != "give_up"
        )

    async def _call_target(
        self, ctx: RequestContext, caller: Mapping[str, str], target: Target,
        failure: Failure | None, *, has_other: bool,
    ) -> tuple[UpstreamAnswer | None, Failure | None]:  # fmt: skip
        """Try one target, with retries; returns its answer, or its last failure."""
        breaker = self.breakers.of(target.upstream)
        tries = 0
        while True:
            tries += 1
            is_probe = breaker.is_probing  # `allows` has just said so of this very call
            if failure is None:
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
            failure = None

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
            prepared = self._preparer.prepare(ctx, target, door, caller)
        except UntranslatableError as error:
            raise AttemptFailedError(untranslatable(error.message, error.hint)) from error
        end = self._recorder.open(ctx, target)
        # A whole answer has no first token to wait for: its deadline is the request's own.
        timeouts = ctx.live.snapshot.timeouts
        patience_s = timeouts.first_token_s if ctx.is_streaming else timeouts.total_s
        remaining_s = max(LEAST_DEADLINE_S, ctx.deadline - self._clock.monotonic())
        deadline_s = min(patience_s, remaining_s)
        now = asyncio.get_running_loop().time()
        try:
            answer = await self._call_once(ctx, prepared, target, now + deadline_s)
            if answer.chunks is not None and answer.reply is not None:
                answer.reply.deadline = now + remaining_s  # until its relay says otherwise
            return answer
        except TimeoutFault as fault:
            # Less than the operator's patience tells of the caller's haste, not of the upstream.
            is_haste = deadline_s < patience_s * 0.9
            failure = timed_out(f"no answer within {deadline_s:.1f} s", is_callers_haste=is_haste)
            raise failed_attempt(end, failure) from fault
        except UpstreamFault as fault:
            raise failed_attempt(end, failure_of_fault(fault)) from fault
        except OversizedEventError as error:
            raise failed_attempt(end, unusable(f"Upstream: {error}.")) from error

    async def _call_once(
        self, ctx: RequestContext, prepared: Prepared, target: Target, deadline: float
    ) -> UpstreamAnswer:
        """Send and read what comes until `deadline`, in the loop's time; raises UpstreamFault."""
        door = ctx.live.doors[target.upstream]
        call = UpstreamCall(
            url=prepared.url,
            headers=prepared.headers,
            body=prepared.body,
            connect_s=ctx.live.snapshot.timeouts.connect_s,
            allows_private=door.allows_private,
            head=prepared.head,
            deadline=deadline,
        )
        reply = await self._client.send(call)
        try:
            return await self._reader.read(ctx, target, prepared, reply)
        except BaseException:
            reply.close()
            raise
