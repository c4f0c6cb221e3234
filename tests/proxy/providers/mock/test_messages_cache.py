"""The simulated cache of marked prefixes."""

import pytest

from config.clock import Clock
from proxy.providers.mock import messages_cache
from proxy.providers.mock.messages_cache import CacheUse, Mark, MarkedPrefixes

OWNER = b"key and model"
A = Mark(1500, b"a", "5m")
AB = Mark(3000, b"ab", "1h")
ABC = Mark(4000, b"abc", "")


class SteppedClock(Clock):
    """A clock whose durations a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


def test_each_lifetime_pays_for_its_own_part() -> None:
    cache = MarkedPrefixes(Clock())
    assert cache.use(OWNER, [A, AB, ABC]) == CacheUse(0, 1500, 1500)
    assert cache.use(OWNER, [A, AB, ABC]) == CacheUse(3000)
    longer = [A, AB, Mark(4000, b"abc", "5m")]
    assert cache.use(OWNER, longer) == CacheUse(3000, 1000)
    assert cache.use(b"another", [A]) == CacheUse(0, 1500)


def test_unmarked_and_short_prefixes_are_not_cached() -> None:
    cache = MarkedPrefixes(Clock())
    for _ in range(2):
        assert cache.use(OWNER, [ABC]) == CacheUse()
        assert cache.use(OWNER, [Mark(1023, b"x", "5m")]) == CacheUse()
        assert cache.use(OWNER, []) == CacheUse()


def test_a_written_prefix_is_found_before_a_later_mark() -> None:
    cache = MarkedPrefixes(Clock())
    cache.use(OWNER, [A])
    unmarked = Mark(1500, b"a", "")
    assert cache.use(OWNER, [unmarked, AB]) == CacheUse(1500, 0, 1500)


def test_reading_starts_the_lifetime_anew() -> None:
    clock = SteppedClock()
    cache = MarkedPrefixes(clock)
    cache.use(OWNER, [A, AB])
    for clock.at in (299.0, 598.0):
        assert cache.use(OWNER, [A]) == CacheUse(1500)
    clock.at = 598.0 + 300.0
    assert cache.use(OWNER, [A]) == CacheUse(0, 1500)
    assert cache.use(OWNER, [A, AB]) == CacheUse(3000)


def test_the_oldest_prefix_leaves_a_full_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages_cache, "MAX_PREFIXES", 2)
    cache = MarkedPrefixes(Clock())
    first, second, third = (Mark(2000, name, "5m") for name in (b"1", b"2", b"3"))
    for mark in (first, second, third):
        cache.use(OWNER, [mark])
    assert cache.use(OWNER, [third]) == CacheUse(2000)
    assert cache.use(OWNER, [first]) == CacheUse(0, 2000)
