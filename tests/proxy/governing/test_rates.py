"""The leaky bucket against its own definition, and durations as clients read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.governing.rates import WINDOW_US, full, leaked, remaining_units, seconds_until, share_of
from proxy.governing.refusing import duration_text


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.integers(0, WINDOW_US), st.integers(1, 50)), max_size=60),
)
def test_no_stretch_of_time_sees_more_than_it_should(
    limit: int, steps: list[tuple[int, int]]
) -> None:
    level, now_us, granted = 0, 0, []
    for pause_us, units in steps:
        level, now_us = leaked(level, limit, pause_us), now_us + pause_us
        if level + units * WINDOW_US <= full(limit):
            level += units * WINDOW_US
            granted.append((now_us, units))
    for first, (start_us, _) in enumerate(granted):
        passed = 0
        for moment_us, units in granted[first:]:
            passed += units
            assert passed * WINDOW_US <= full(limit) + limit * (moment_us - start_us)


def test_what_is_left_and_how_long_it_takes() -> None:
    level = 15 * WINDOW_US
    assert remaining_units(level, 60) == 45
    assert seconds_until(level, 60) == 15.0
    assert seconds_until(61 * WINDOW_US, 60, full(60)) == 1.0
    assert (remaining_units(level, 0), seconds_until(level, 0)) == (0, 0.0)


def test_a_share_is_never_nothing_of_something() -> None:
    assert [share_of(limit, 3) for limit in (0, 1, 2, 3, 7)] == [0, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0161, "17ms"), (8.64, "8.64s"), (59.999, "60s"), (360, "6m0s"),
     (3600, "1h0m0s"), (3661.2, "1h1m2s")],
)  # fmt: skip
def test_durations_are_written_as_clients_read_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
