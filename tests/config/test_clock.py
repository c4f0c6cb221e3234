"""The clock: real by default, scaled and moved for simulations."""

import time

import pytest

from config.clock import Clock


def _wait_real(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pass


def test_real_clock_tells_the_system_time() -> None:
    clock = Clock()
    before = time.time_ns() // 1000  # noqa: TID251 - the system's own time is the reference
    now_us, now = clock.now_us(), clock.now()
    after = time.time_ns() // 1000  # noqa: TID251
    assert before <= now_us <= after
    assert before / 1e6 <= now <= after / 1e6 + 0.001
    assert not clock.is_scaled


def test_scaled_clock_runs_faster_from_its_origin() -> None:
    clock = Clock(scale=100_000.0, origin=1_700_000_000.0)
    _wait_real(0.01)
    assert clock.is_scaled
    assert 1_700_000_000 + 1000 <= clock.now() < 1_700_000_000 + 10_000_000
    first = clock.now_us()
    assert clock.now_us() >= first > 1_700_000_000_000_000


def test_moved_clock_counts_as_scaled() -> None:
    assert Clock(origin=0.0).is_scaled
    assert Clock(origin=0.0).now() < 60


def test_monotonic_is_never_scaled() -> None:
    clock = Clock(scale=1e6)
    start, real = clock.monotonic(), time.monotonic()
    assert abs(clock.monotonic() - start) <= time.monotonic() - real + 1


def test_scale_has_to_be_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Clock(scale=0)
