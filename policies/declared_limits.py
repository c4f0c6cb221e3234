"""Limits as people write them, made into those that are stored and enforced, and back.

Used by the snapshot builder for apex.yaml, and by the admin API.
"""

from decimal import Decimal
from typing import Any

from config.limit_model import PICO_DECIMALS, BudgetConfig, LimitsConfig
from policies.limits import NO_LIMITS, Budget, Rates, UsageLimits, dump_limits


def limits_of(declared: LimitsConfig | None) -> UsageLimits:
    """What is enforced; amounts in whole pico-USD."""
    if declared is None:
        return NO_LIMITS
    rates = Rates(declared.requests_per_minute, declared.tokens_per_minute, declared.concurrency)
    budgets = tuple(
        Budget(each.period, int(each.amount_usd.scaleb(PICO_DECIMALS)), each.hard)
        for each in declared.budgets
    )
    return UsageLimits(rates, budgets)


def stored_limits(declared: LimitsConfig | None) -> dict[str, Any] | None:
    """As SQL keeps them: None where there are none."""
    limits = limits_of(declared)
    return None if limits.is_unlimited else dump_limits(limits)


def declare_limits(limits: UsageLimits) -> LimitsConfig:
    """What people are shown; amounts in USD."""
    rates = limits.rates
    return LimitsConfig(
        requests_per_minute=rates.requests_per_minute,
        tokens_per_minute=rates.tokens_per_minute,
        concurrency=rates.concurrency,
        budgets=tuple(
            BudgetConfig(
                amount_usd=Decimal(each.amount_picousd).scaleb(-PICO_DECIMALS),
                period=each.period,
                hard=each.is_hard,
            )
            for each in limits.budgets
        ),
    )
