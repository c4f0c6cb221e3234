"""The plan of a period: every moment of it is read once, and nothing stale as it was summed."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.bucket_plan import (
    DAY_HOURS,
    HOUR_US,
    MOST_WINDOWS,
    Window,
    limit,
    make_plan,
    merge,
    subtract,
)

HOURS = 24 * 9


def covered(windows: tuple[Window, ...], unit: int) -> list[int]:
    return [point for since, until in windows for point in range(since * unit, until * unit)]


@given(
    st.sets(st.integers(0, HOURS)),
    st.sets(st.integers(0, HOURS // 24)),
    st.tuples(st.integers(0, HOURS * 2), st.integers(1, HOURS * 2)),
)
def test_every_moment_is_read_once_and_nothing_stale_as_summed(
    stale_hours: set[int], stale_days: set[int], span: tuple[int, int]
) -> None:
    half = HOUR_US // 2
    period = (span[0] * half, (span[0] + span[1]) * half)
    plan = make_plan(stale_hours, stale_days, period)
    days = covered(plan.days, DAY_HOURS)
    hours = covered(plan.hours, 1)
    halves = [
        point for since, until in plan.events for point in range(since // half, until // half)
    ]
    read = [*(2 * hour + part for hour in [*days, *hours] for part in (0, 1)), *halves]
    assert sorted(read) == list(range(span[0], sum(span)))
    assert not stale_hours & {*days, *hours}
    assert not stale_days & {hour // DAY_HOURS for hour in days}
    assert sorted(covered(plan.summed_hours, 1)) == sorted([*days, *hours])


def test_a_calm_store_is_read_by_the_day() -> None:
    day_us = DAY_HOURS * HOUR_US
    plan = make_plan({24 * 9}, {9}, (day_us // 2, 9 * day_us + HOUR_US + 1))
    assert plan.days == ((1, 9),)
    assert plan.hours == ((12, 24),)
    assert plan.events == ((9 * day_us, 9 * day_us + HOUR_US + 1),)


def test_windows() -> None:
    assert merge([(0, 1), (1, 2), (4, 6), (5, 5)]) == ((0, 2), (4, 6))
    assert subtract([(0, 10)], [(0, 1), (3, 4), (9, 12)]) == ((1, 3), (4, 9))
    assert subtract([(5, 10)], [(0, 20)]) == ()
    many = tuple((2 * each, 2 * each + 1) for each in range(200))
    limited = limit(many)
    assert len(limited) == MOST_WINDOWS
    assert limited[-1] == many[-1]
    assert (limited[0][0], limited[0][1]) == (0, many[-MOST_WINDOWS][1])
