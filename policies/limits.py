"""What a key, a project or a tenant may use: rates, requests at a time, and money by period.

Part of the snapshot: written by the admin API or apex.yaml, enforced by the proxies. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Period = Literal["day", "week", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)


@dataclass(frozen=True, slots=True)
class Rates:
    """At most so many requests and tokens a minute, and requests open at once; None: any number."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """Money for a day, a week from Monday, or a month, in the time zone of the tenant.

    A hard budget refuses what would pass it; a soft one only marks what has.
    """

    period: Period
    amount_picousd: int
    is_hard: bool = True


@dataclass(frozen=True, slots=True)
class UsageLimits:
    """The limits of one key, project or tenant; budgets at most one of a period and hardness."""

    rates: Rates = Rates()
    budgets: tuple[Budget, ...] = ()

    @property
    def is_unlimited(self) -> bool:
        """Whether nothing has to be counted."""
        return self.rates == Rates() and not self.budgets


NO_LIMITS = UsageLimits()


def dump_limits(limits: UsageLimits) -> dict[str, Any]:
    """Plain JSON data, as SQL and snapshots keep it. Of every key at each build: no `asdict`."""
    rates = limits.rates
    return {
        "rates": {
            "requests_per_minute": rates.requests_per_minute,
            "tokens_per_minute": rates.tokens_per_minute,
            "concurrency": rates.concurrency,
        },
        "budgets": [
            {
                "period": each.period,
                "amount_picousd": each.amount_picousd,
                "is_hard": each.is_hard,
            }
            for each in limits.budgets
        ],
    }


def load_limits(document: Mapping[str, Any] | None) -> UsageLimits:
    """The limits of such data; none for None. ValueError, TypeError or KeyError for other data."""
    if not document:
        return NO_LIMITS
    limits = UsageLimits(
        Rates(**document.get("rates", {})),
        tuple(Budget(**each) for each in document.get("budgets", ())),
    )
    if any(each.period not in PERIODS or each.amount_picousd < 0 for each in limits.budgets):
        raise ValueError("a budget needs a known period and an amount of zero or more")
    return limits
