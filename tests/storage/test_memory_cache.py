"""The in-memory cache: its bound in bytes, its order of leaving, its TTLs."""

from hypothesis import given
from hypothesis import strategies as st

from config.clock import Clock
from storage.memory_cache import ByteBoundedCache

OVERHEAD = 400


class SteppedClock(Clock):
    """A clock that moves when told."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def make_cache(max_entries: int = 3) -> tuple[ByteBoundedCache, SteppedClock]:
    clock = SteppedClock()
    return ByteBoundedCache(max_entries * (OVERHEAD + 100), clock), clock


def test_a_value_is_there_until_its_time_is_up() -> None:
    cache, clock = make_cache()
    cache.set("a", b"value", 100, ttl_s=10)
    clock.seconds = 9.9
    assert cache.get("a") == b"value"
    clock.seconds = 10.0
    assert cache.get("a") is None
    assert (cache.entries, cache.bytes) == (0, 0)


def test_the_least_recently_used_leaves_first() -> None:
    cache, _ = make_cache(max_entries=3)
    for key in "abc":
        cache.set(key, key, 100, ttl_s=10)
    cache.get("a")
    cache.set("d", "d", 100, ttl_s=10)
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]


def test_one_too_large_is_not_kept_and_drops_no_other() -> None:
    cache, _ = make_cache(max_entries=2)
    cache.set("a", "a", 100, ttl_s=10)
    cache.set("huge", "huge", 10_000, ttl_s=10)
    assert cache.get("huge") is None
    assert cache.get("a") == "a"


def test_a_key_set_again_is_counted_once() -> None:
    cache, _ = make_cache()
    cache.set("a", "old", 100, ttl_s=10)
    cache.set("a", "new", 50, ttl_s=10)
    assert (cache.get("a"), cache.entries, cache.bytes) == ("new", 1, 50 + OVERHEAD)


def test_no_ttl_means_not_kept() -> None:
    cache, _ = make_cache()
    cache.set("a", "a", 1, ttl_s=0)
    assert cache.get("a") is None


def test_purge_by_prefix_and_of_all() -> None:
    cache, _ = make_cache()
    for key in ("acme/1", "acme/2", "acme2/1"):
        cache.set(key, key, 1, ttl_s=10)
    assert cache.purge("acme/") == 2
    assert cache.get("acme2/1") == "acme2/1"
    assert cache.purge() == 1
    assert not cache.delete("acme2/1")
    assert (cache.entries, cache.bytes) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2000)), max_size=60))
def test_it_never_holds_more_than_its_bound(steps: list[tuple[str, int]]) -> None:
    cache, _ = make_cache(max_entries=4)
    sizes: dict[str, int] = {}
    for key, size in steps:
        cache.set(key, key, size, ttl_s=1)
        sizes[key] = size + OVERHEAD
        held = [key for key in sizes if cache.get(key) is not None]
        assert cache.bytes == sum(sizes[key] for key in held) <= 4 * (OVERHEAD + 100)
        assert cache.entries == len(held)
