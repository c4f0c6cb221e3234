"""The limits as data: nothing is lost on the way, and nonsense is refused."""

import orjson
import pytest

from policies.limits import NO_LIMITS, Budget, Rates, UsageLimits, dump_limits, load_limits

LIMITS = UsageLimits(
    Rates(requests_per_minute=60, concurrency=4),
    (Budget("month", 5_000_000_000_000), Budget("day", 10**12, is_hard=False)),
)


def test_they_survive_json() -> None:
    assert load_limits(orjson.loads(orjson.dumps(dump_limits(LIMITS)))) == LIMITS


def test_nothing_is_no_limit() -> None:
    assert load_limits(None) is NO_LIMITS
    assert load_limits({}).is_unlimited
    assert not LIMITS.is_unlimited
    assert not UsageLimits(Rates(concurrency=1)).is_unlimited


@pytest.mark.parametrize(
    "document",
    [
        {"budgets": [{"period": "year", "amount_picousd": 1}]},
        {"budgets": [{"period": "day", "amount_picousd": -1}]},
        {"budgets": [{"period": "day"}]},
        {"rates": {"requests_per_hour": 1}},
    ],
)
def test_nonsense_is_refused(document: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        load_limits(document)
