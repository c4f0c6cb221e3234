"""The limits that govern one key: its own, its project's and its tenant's, as one list of meters.

Built once for each key and snapshot by proxy/live.py; a key without any limit has no rules.
"""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from policies.limits import Budget, Period, UsageLimits
from policies.snapshot import KeyRecord, Snapshot
from proxy.governing.claims import Claim, Level, Meter
from proxy.governing.periods import Span, span_at, zone_of


class Rules:
    """Meters in the order they are asked in: money, then requests and tokens, then places."""

    def __init__(
        self, key: KeyRecord, limited: list[tuple[Level, str, UsageLimits]], zone: ZoneInfo
    ) -> None:
        self.tenant = key.tenant
        self.output_tokens_cap = key.output_tokens_cap
        self.money: list[Meter] = []
        self.requests: list[Meter] = []
        self.tokens: list[Meter] = []
        self.places: list[Meter] = []
        for level, name, limits in limited:
            self._take(level, f"{key.tenant}/{level}:{name}", limits)
        self.is_hard = any(meter.limit is not None for meter in self.money)
        self._zone = zone
        self._spans: dict[str, Span] = {}

    def claim_all(self, now_s: float, tokens: int, picousd: int) -> tuple[Claim, ...]:
        """The claims of a request that is about to be dispatched."""
        money = []
        for meter in self.money:
            span = self._span(meter.period, now_s)
            money.append(Claim(meter, f"{meter.name}:{span.name}", picousd, span))
        rates = self.claim_request()
        tokens_claimed = [Claim(meter, meter.name, tokens) for meter in self.tokens if tokens]
        places = [Claim(meter, meter.name, 1) for meter in self.places]
        return (*money, *rates, *tokens_claimed, *places)

    def claim_request(self) -> tuple[Claim, ...]:
        """The claims of a call that costs nothing and is answered at once."""
        return tuple([Claim(meter, meter.name, 1) for meter in self.requests])

    def _take(self, level: Level, name: str, limits: UsageLimits) -> None:
        rates = limits.rates
        if rates.requests_per_minute is not None:
            self.requests.append(
                Meter(level, "requests", f"{name}:requests", rates.requests_per_minute)
            )
        if rates.tokens_per_minute is not None:
            self.tokens.append(Meter(level, "tokens", f"{name}:tokens", rates.tokens_per_minute))
        if rates.concurrency is not None:
            self.places.append(Meter(level, "open", f"{name}:open", rates.concurrency))
        periods = dict.fromkeys(budget.period for budget in limits.budgets)
        for period in periods:
            hard = _least(limits.budgets, period, is_hard=True)
            soft = _least(limits.budgets, period, is_hard=False)
            self.money.append(Meter(level, "money", name, hard, period, soft))

    def _span(self, period: str, now_s: float) -> Span:
        span = self._spans.get(period)
        if span is None or not span.start_s <= now_s < span.end_s:
            span = self._spans[period] = span_at(_period(period), self._zone, now_s)
        return span


def rules_of(key: KeyRecord, snapshot: Snapshot) -> Rules | None:
    """What governs a key; None when nothing does."""
    limited = [each for each in _limits_of(key, snapshot) if not each[2].is_unlimited]
    if not limited:
        return None
    tenant = snapshot.tenants.get(key.tenant)
    return Rules(key, limited, zone_of(tenant.time_zone if tenant is not None else "UTC"))


def _limits_of(key: KeyRecord, snapshot: Snapshot) -> Iterator[tuple[Level, str, UsageLimits]]:
    yield "key", key.key_id, key.limits
    project = snapshot.projects.get((key.tenant, key.project))
    if project is not None:
        yield "project", project.name, project.limits
    tenant = snapshot.tenants.get(key.tenant)
    if tenant is not None:
        yield "tenant", tenant.name, tenant.limits


def _least(budgets: tuple[Budget, ...], period: str, *, is_hard: bool) -> int | None:
    amounts = [
        budget.amount_picousd
        for budget in budgets
        if budget.period == period and budget.is_hard is is_hard
    ]
    return min(amounts, default=None)


def _period(name: str) -> Period:
    return "day" if name == "day" else "week" if name == "week" else "month"
