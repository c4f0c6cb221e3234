"""The one gate of all limits and budgets: claims before dispatch, settles after the END.

Called by pipeline.py, resources/relay.py, realtime.py and routes.py, and by admission.py at the
end of every request. Keys without limits never get here.
"""

from dataclasses import dataclass, field

from config.clock import Clock
from config.metrics import Metrics
from ledger.end_rating import rate_end
from ledger.events import AttemptEnd
from ledger.rating import TokenBuckets
from policies.snapshot import KeyRecord, Target
from proxy.context import RequestContext
from proxy.end_usage import buckets_of
from proxy.governing.claims import Claim, Correction, Hold
from proxy.governing.counters import Counters
from proxy.governing.estimating import Estimate, Estimator
from proxy.governing.refusing import rate_headers, refusal, unpriced
from proxy.governing.rules import Rules
from proxy.live import LiveSnapshot

BUDGET = "x-apex-budget"


@dataclass(slots=True)
class Governor:
    """The limits of one proxy process, on whichever engine counts them."""

    counters: Counters
    clock: Clock
    metrics: Metrics
    estimator: Estimator = field(default_factory=Estimator)

    async def admit(self, ctx: RequestContext, rules: Rules) -> None:
        """Claim what a decided request may use; raises GatewayError 429."""
        await self._admit(ctx, rules, self.estimator.estimate(ctx, rules.output_tokens_cap))

    async def admit_resource(
        self, ctx: RequestContext, method: str, target: Target, path: str
    ) -> None:
        """The same for a call that is no dialect; to look at objects costs nothing."""
        rules = rules_for(ctx)
        if rules is not None:
            is_new = method == "POST"
            cost = self.estimator.estimate_resource(ctx, target, path) if is_new else 0
            await self._admit(ctx, rules, Estimate(0, cost))

    async def admit_session(self, ctx: RequestContext, target: Target) -> None:
        """The same for a realtime session, which begins with one response."""
        rules = rules_for(ctx)
        if rules is not None:
            cap = rules.output_tokens_cap
            cost = self.estimator.estimate_session(ctx, target, cap)
            await self._admit(ctx, rules, Estimate(0, cost))

    async def renew(self, ctx: RequestContext, target: Target) -> None:
        """Settle what a session has cost, and claim its next response; raises GatewayError 429."""
        rules, hold = rules_for(ctx), ctx.hold
        if rules is None or hold is None or not rules.money:
            return
        kept = tuple([claim for claim in hold.claims if claim.meter.kind != "money"])
        money = tuple([claim for claim in hold.claims if claim.meter.kind == "money"])
        paid = Hold(hold.id, hold.tenant, money, hold.ends, is_shared=hold.is_shared)
        hold.claims, hold.ends = kept, []
        self._settle(paid, ctx.live)
        cost = self.estimator.estimate_session(ctx, target, rules.output_tokens_cap)
        claims = rules.claim_all(self.clock.now(), 0, cost or 0)
        fresh = tuple([claim for claim in claims if claim.meter.kind == "money"])
        await self._claim(Hold(hold.id, hold.tenant, fresh))
        hold.claims = (*kept, *fresh)

    async def admit_free(self, key: KeyRecord, live: LiveSnapshot) -> None:
        """Count a call that asks no upstream; raises GatewayError 429."""
        rules = live.rules_of(key)
        if rules is not None and rules.requests:
            await self._claim(Hold("", rules.tenant, rules.claim_request()))

    async def _admit(self, ctx: RequestContext, rules: Rules, estimate: Estimate) -> None:
        picousd = estimate.picousd
        if picousd is None:
            if rules.is_hard:
                raise unpriced(ctx.model)
            picousd = 0
        claims = rules.claim_all(self.clock.now(), estimate.tokens, picousd)
        hold = Hold(ctx.request_id, rules.tenant, claims)
        await self._claim(hold)
        ctx.hold = hold

    async def _claim(self, hold: Hold) -> None:
        verdict = await self.counters.reserve(hold)
        if verdict.refused >= 0:
            meter = hold.claims[verdict.refused].meter
            self.metrics.count("apex_limit_refusals_total", (meter.level, meter.kind))
            raise refusal(hold, verdict, self.clock.now())
        hold.headers = rate_headers(hold, verdict)
        for claim, state in zip(hold.claims, verdict.states, strict=True):
            soft = claim.meter.soft_limit
            if soft is not None and state > soft:
                hold.headers[BUDGET] = "exceeded"
                self.metrics.count("apex_budget_exceeded_total", (claim.meter.level,))

    def settle(self, ctx: RequestContext) -> None:
        """The request is over: put right what was claimed, by what its attempts used."""
        hold, ctx.hold = ctx.hold, None
        if hold is not None:
            self._settle(hold, ctx.live)

    def _settle(self, hold: Hold, live: LiveSnapshot) -> None:
        tokens = _tokens_used(hold.ends)
        cost = self._cost_of(hold, live)
        used = {"money": cost, "tokens": tokens}
        corrections = [
            Correction(claim, difference)
            for claim in hold.claims
            if (difference := _difference(claim, used))
        ]
        self.counters.settle(hold, corrections)

    def _cost_of(self, hold: Hold, live: LiveSnapshot) -> int | None:
        """Pico-USD of all attempts; None when that of one is not known: the claim stands."""
        if not any(claim.meter.kind == "money" for claim in hold.claims):
            return None
        total = 0
        for end in hold.ends:
            cost = rate_end(live.book, vars(end)).cost.picousd
            if cost is None:
                return None
            total += cost
        return total


def rules_for(ctx: RequestContext) -> Rules | None:
    """What governs the caller of a request; None when nothing does."""
    return ctx.caller.rules if ctx.caller is not None else None


def _difference(claim: Claim, used: dict[str, int | None]) -> int:
    amount = used.get(claim.meter.kind)
    return 0 if amount is None else amount - claim.amount


def _tokens_used(ends: list[AttemptEnd]) -> int | None:
    """Tokens of all attempts; None when those of one are not known."""
    total = 0
    for end in ends:
        if end.usage_source == "none":
            continue
        buckets: TokenBuckets | None = buckets_of(end)
        if buckets is None:
            return None
        total += sum(buckets)
    return total
