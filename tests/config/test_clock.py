"""The clock: real by default, scaled and moved for simulations."""

import time

import pytest

from config.clock import Clock
from config.settings import load_settings


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


def test_processes_with_the_same_origin_agree() -> None:
    assert not Clock.of(load_settings({})).is_scaled
    environ = {
        "APEX_CLOCK_SCALE": "1000",
        "APEX_CLOCK_ORIGIN": "2023-11-16T18:00:00Z=2026-01-01T00:00:00Z",
    }
    first = Clock.of(load_settings(environ))
    _wait_real(0.02)
    second = Clock.of(load_settings(environ))
    expected_s = 1_700_157_600 + (time.time() - 1_767_225_600) * 1000  # noqa: TID251
    assert first.is_scaled
    assert first.now() == pytest.approx(second.now(), abs=20)  # 20 ms of real time
    assert second.now() == pytest.approx(expected_s, abs=100)
