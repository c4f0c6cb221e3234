"""Counted attempts: so many at once, again with time, bounded whatever comes."""

import pytest

from admin_api.people import attempts
from admin_api.people.attempts import Attempts
from tests.admin_api.conftest import MovedClock


def test_so_many_at_once_and_again_with_time() -> None:
    clock = MovedClock()
    counted = Attempts(clock, 3, 60.0)
    assert [counted.try_once("a") > 0 for _ in range(4)] == [False, False, False, True]
    assert 19 < counted.try_once("a") <= 20
    assert counted.try_once("b") == 0.0
    clock.later_s = 20
    assert [counted.try_once("a") > 0 for _ in range(2)] == [False, True]
    clock.later_s = 10_000
    assert [counted.try_once("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_success_forgives() -> None:
    counted = Attempts(MovedClock(), 1, 60.0)
    counted.try_once("a")
    counted.forgive("a")
    assert counted.try_once("a") == 0.0


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_NAMES", 10)
    counted = Attempts(MovedClock(), 1, 60.0)
    for number in range(100):
        counted.try_once(str(number))
    assert counted.try_once("99") > 0  # the last are known
    assert counted.try_once("1") == 0.0  # the first are forgotten
