"""The exact cache and its flights: rows 4 and 26 of the fault table, B6 on cache isolation."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from config.clock import Clock
from config.metrics import Metrics
from config.operator_model import CacheConfig
from ledger.price_book import PriceBook, load_price_book
from optimizer.decision import CachePlan
from proxy.answers import StoredAnswer
from proxy.cache import AnswerCache
from storage.memory_cache import ByteBoundedCache
from tests.proxy.samples import key_record, live_snapshot, request_context, stored

READS = CachePlan(
    reads=True,
    writes=True,
    joins_flights=True,
    ttl_s=60,
    scope="user",
    max_age_s=None,
    reason="eligible",
)
ANSWER = stored("json", {"choices": []})


class MovedClock(Clock):
    """A clock a test can move forward."""

    moved_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.moved_s


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def cache(tmp_path: Path, clock: MovedClock) -> AnswerCache:
    return AnswerCache(ByteBoundedCache(1 << 20, clock), clock, Metrics(tmp_path, "proxy"))


def context(book: PriceBook, clock: Clock, **fields: Any) -> Any:
    config = CacheConfig(coalesce_wait_s=5, max_entry_bytes=10_000)
    live = live_snapshot(book, cache=config)
    return request_context(live, deadline=clock.monotonic() + 60, **fields)


def fresh(clock: Clock, **fields: Any) -> StoredAnswer:
    return stored("json", {"choices": []}, stored_at=clock.monotonic(), **fields)


async def test_a_miss_leads_and_what_it_lands_is_found(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    first, second = context(book, clock), context(book, clock)
    assert await cache.find(first, READS) is None
    assert (first.cache, first.cache_reason, first.leads_flight) == ("miss", "eligible", True)
    answer = fresh(clock)
    cache.land(first, READS, answer)
    assert not first.leads_flight
    assert await cache.find(second, READS) is answer
    assert second.cache == "hit"


async def test_followers_of_a_flight_get_its_answer_and_never_lead(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    leader, followers = context(book, clock), [context(book, clock) for _ in range(50)]
    await cache.find(leader, READS)
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(cache.find(each, READS)) for each in followers]
        await asyncio.sleep(0)
        cache.land(leader, READS, ANSWER)
    assert all(wait.result() is ANSWER for wait in waits)
    assert {each.cache for each in followers} == {"coalesced"}
    assert not any(each.leads_flight for each in followers)


async def test_of_the_followers_of_a_failed_leader_one_leads_again(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    leader, followers = context(book, clock), [context(book, clock) for _ in range(3)]
    await cache.find(leader, READS)
    async with asyncio.TaskGroup() as group:
        for each in followers:
            group.create_task(_find_and_land(cache, each, None))
        await asyncio.sleep(0)
        cache.land(leader, READS, None)
    assert {each.cache for each in followers} == {"miss"}
    late = context(book, clock)
    assert await cache.find(late, READS) is None
    assert late.leads_flight, "no flight is left open"


async def _find_and_land(cache: AnswerCache, ctx: Any, answer: StoredAnswer | None) -> None:
    if await cache.find(ctx, READS) is None:
        await asyncio.sleep(0)
        cache.land(ctx, READS, answer)


async def test_a_follower_goes_on_its_own_when_its_patience_ends(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    await cache.find(context(book, clock), READS)
    hasty = request_context(
        live_snapshot(book, cache=CacheConfig(coalesce_wait_s=0)), deadline=clock.monotonic() + 60
    )
    assert await cache.find(hasty, READS) is None
    assert (hasty.cache, hasty.leads_flight) == ("miss", False)
    short = context(book, clock)
    short.deadline = clock.monotonic()
    assert await cache.find(short, READS) is None


async def test_a_plan_that_does_not_read_bypasses_but_may_write(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    plan = READS._replace(reads=False, joins_flights=False, reason="no_cache")
    first = context(book, clock)
    assert await cache.find(first, plan) is None
    assert (first.cache, first.leads_flight) == ("bypass", False)
    cache.land(first, plan, fresh(clock))
    assert await cache.find(context(book, clock), READS) is not None


async def test_what_may_not_be_written_is_not(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    plan = READS._replace(writes=False)
    first = context(book, clock)
    await cache.find(first, plan)
    cache.land(first, plan, fresh(clock))
    assert await cache.find(context(book, clock), plan) is None


async def test_answers_age(cache: AnswerCache, book: PriceBook, clock: MovedClock) -> None:
    cache.land(context(book, clock), READS, fresh(clock))
    clock.moved_s = 30
    assert await cache.find(context(book, clock), READS._replace(max_age_s=29)) is None
    assert await cache.find(context(book, clock), READS._replace(max_age_s=31)) is not None
    clock.moved_s = 61
    assert await cache.find(context(book, clock), READS._replace(joins_flights=False)) is None


async def test_tenants_never_meet_even_with_equal_keys(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    mine = context(book, clock)
    theirs = context(book, clock, key=key_record("web", "globex"))
    await cache.find(mine, READS)
    assert await cache.find(theirs, READS) is None
    assert theirs.leads_flight, "their flight is their own"
    cache.land(mine, READS, fresh(clock))
    cache.land(theirs, READS, None)
    plan = READS._replace(joins_flights=False)
    assert await cache.find(theirs, plan) is None
    assert cache.purge("globex") == 0
    assert cache.purge("acm") == 0, "a tenant's name is not a prefix of another's"
    assert cache.purge("acme") == 1
    assert await cache.find(mine, plan) is None


async def test_what_is_too_large_is_given_to_followers_and_not_kept(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    leader, follower = context(book, clock), context(book, clock)
    await cache.find(leader, READS)
    large = stored("json", b"x" * 10_000, stored_at=clock.monotonic())
    async with asyncio.TaskGroup() as group:
        wait = group.create_task(cache.find(follower, READS))
        await asyncio.sleep(0)
        cache.land(leader, READS, large)
    assert wait.result() is large
    assert await cache.find(context(book, clock), READS) is None


async def test_the_cache_stays_within_its_bytes(
    cache: AnswerCache, book: PriceBook, clock: MovedClock
) -> None:
    for number in range(500):
        cache.land(
            context(book, clock, request_key=f"{number:032x}"),
            READS,
            stored("json", b"x" * 8000, stored_at=clock.monotonic()),
        )
    cache.report()
    assert 0 < cache.purge(None) < 150
