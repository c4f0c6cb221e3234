"""Coalescing: row 26 of the fault table."""

import asyncio

import pytest

from proxy.flights import Flights
from tests.proxy.samples import stored

ANSWER = stored("json", {"choices": []})


async def test_one_leads_and_all_others_get_its_answer() -> None:
    flights = Flights()
    assert flights.lead("k")
    assert not flights.lead("k")
    followers = [asyncio.ensure_future(flights.follow("k", 5)) for _ in range(100)]  # noqa: TID251
    await asyncio.sleep(0)
    flights.land("k", ANSWER)
    assert await asyncio.gather(*followers) == [ANSWER] * 100


async def test_a_failed_leader_sends_its_followers_on_their_own() -> None:
    flights = Flights()
    flights.lead("k")
    async with asyncio.TaskGroup() as group:
        follower = group.create_task(flights.follow("k", 5))
        await asyncio.sleep(0)
        flights.land("k", None)
    assert follower.result() is None
    assert flights.lead("k")


async def test_patience_ends_without_harm_to_the_flight() -> None:
    flights = Flights()
    flights.lead("k")
    for patience_s in (0.01, 0, -5):
        with pytest.raises(TimeoutError):
            await flights.follow("k", patience_s)
    async with asyncio.TaskGroup() as group:
        follower = group.create_task(flights.follow("k", 5))
        await asyncio.sleep(0)
        flights.land("k", ANSWER)
    assert follower.result() is ANSWER


async def test_a_follower_who_leaves_takes_nobody_along() -> None:
    flights = Flights()
    flights.lead("k")
    async with asyncio.TaskGroup() as group:
        leaver = group.create_task(flights.follow("k", 5))
        stayer = group.create_task(flights.follow("k", 5))
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.sleep(0)
        flights.land("k", ANSWER)
    assert leaver.cancelled()
    assert stayer.result() is ANSWER


async def test_who_comes_too_late_finds_no_flight() -> None:
    flights = Flights()
    assert await flights.follow("k", 5) is None
    flights.lead("k")
    flights.land("k", ANSWER)
    assert await flights.follow("k", 5) is None
    flights.land("k", ANSWER)
    flights.land("never", None)


async def test_flights_of_other_keys_do_not_meet() -> None:
    flights = Flights()
    assert flights.lead("a")
    assert flights.lead("b")
    flights.land("b", ANSWER)
    with pytest.raises(TimeoutError):
        await flights.follow("a", 0)
