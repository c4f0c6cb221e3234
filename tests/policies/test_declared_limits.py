"""Limits as people write them and as they are enforced: nothing is lost on the way."""

from hypothesis import given
from hypothesis import strategies as st

from config.limit_model import MOST_BUDGET_USD, LimitsConfig
from policies.declared_limits import declare_limits, limits_of
from policies.limits import NO_LIMITS, PERIODS, Budget, Rates, UsageLimits, load_limits

amounts = st.integers(0, MOST_BUDGET_USD * 10**12)


@given(st.sampled_from(PERIODS), amounts, st.booleans(), st.none() | st.integers(1, 10**6))
def test_there_and_back(period: str, amount: int, is_hard: bool, rate: int | None) -> None:
    document = {
        "rates": {"requests_per_minute": rate},
        "budgets": [{"period": period, "amount_picousd": amount, "is_hard": is_hard}],
    }
    limits = load_limits(document)
    shown = declare_limits(limits).model_dump(mode="json")
    assert limits_of(LimitsConfig.model_validate(shown)) == limits


def test_dollars_become_pico_dollars() -> None:
    declared = LimitsConfig.model_validate(
        {"concurrency": 2, "budgets": [{"amount_usd": "0.25", "period": "week", "hard": False}]}
    )
    expected = UsageLimits(Rates(concurrency=2), (Budget("week", 250_000_000_000, False),))
    assert limits_of(declared) == expected
    assert limits_of(None) == NO_LIMITS
