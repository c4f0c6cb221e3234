"""Where budgets' days, weeks and months begin, over clock changes and in every zone."""

from datetime import UTC, datetime
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.limits import PERIODS, Period
from proxy.governing.periods import span_at, zone_of

BERLIN = zone_of("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        ("day", "2026-11-25T00:30+01:00", "2026-11-24T23:00Z", "2026-11-25T23:00Z"),
        ("day", "2026-03-29T12:00+02:00", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),  # 23 hours
        ("day", "2026-10-25T12:00+01:00", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),  # 25 hours
        ("week", "2026-11-25T12:00+01:00", "2026-11-22T23:00Z", "2026-11-29T23:00Z"),
        ("month", "2026-12-31T23:59+01:00", "2026-11-30T23:00Z", "2026-12-31T23:00Z"),
        ("month", "2026-10-31T12:00+01:00", "2026-09-30T22:00Z", "2026-10-31T23:00Z"),
    ],
)
def test_a_period_is_bounded_by_local_midnights(
    period: Period, now: str, start: str, end: str
) -> None:
    span = span_at(period, BERLIN, at(now))
    assert (span.start_s, span.end_s) == (at(start), at(end))


def test_an_unknown_zone_is_utc() -> None:
    assert zone_of("Mars/Olympus").key == zone_of("../etc").key == "UTC"


@given(
    st.sampled_from(PERIODS),
    st.sampled_from(sorted(available_timezones())),
    st.floats(1.5e9, 3e9),
)
def test_periods_hold_their_moment_and_follow_each_other(
    period: Period, zone_name: str, now: float
) -> None:
    zone = zone_of(zone_name)
    span = span_at(period, zone, now)
    assert span.start_s <= now < span.end_s
    following = span_at(period, zone, span.end_s)
    assert following.name != span.name
    assert following.start_s == span.end_s
    assert datetime.fromtimestamp(span.start_s, UTC).astimezone(zone).strftime("%Y-%m-%d") in (
        span.name
    )
