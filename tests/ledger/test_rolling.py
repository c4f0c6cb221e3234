"""When usage is summed: once it is calm, anew when events come late, and after a lost mark."""

from typing import Any

from ledger.bucket_plan import HOUR_US, plan_buckets
from ledger.usage import usage_rows
from storage.columnar import Columnar
from tests.ledger.test_bucket_sql import NOW_US, SINCE_US, insert, make_roller, rows_of

ATTEMPT: dict[str, Any] = {
    "number": 1, "began": 0, "lasted": 0, "tries": 1, "tenant": "acme", "model": "large",
    "tags": {}, "cost": 5, "source": "provider", "has_estimate": False,
}  # fmt: skip


async def add(store: Columnar, number: int, began: int) -> None:
    await insert(store, "usage_events", rows_of({**ATTEMPT, "number": number, "began": began})[0])


async def count_requests(store: Columnar) -> int:
    return int((await usage_rows(store, "model"))["totals"]["requests"])


async def test_an_hour_is_summed_when_two_looks_found_the_same(embedded: Columnar) -> None:
    roller = make_roller(embedded)
    await add(embedded, 1, 0)
    assert await roller.roll() == 0
    await add(embedded, 2, 1)
    assert await roller.roll() == 0
    assert await roller.roll() == 2  # the hour, and its day
    assert await roller.roll() == 0
    plan = await plan_buckets(embedded, SINCE_US - 48 * HOUR_US, NOW_US)
    assert plan.stale == ()
    assert await count_requests(embedded) == 2


async def test_an_hour_that_is_not_over_is_left_alone(embedded: Columnar) -> None:
    roller = make_roller(embedded)
    await add(embedded, 1, 60 * 12)  # the present hour
    assert [await roller.roll() for _ in range(3)] == [0, 0, 0]
    assert await count_requests(embedded) == 1


async def test_a_late_event_counts_at_once_and_is_summed_later(embedded: Columnar) -> None:
    roller = make_roller(embedded)
    await add(embedded, 1, 0)
    await roller.roll()
    await roller.roll()
    await add(embedded, 2, 2)
    assert await count_requests(embedded) == 2
    assert (await plan_buckets(embedded, 0, NOW_US)).stale != ()
    assert await roller.roll() == 0
    assert await roller.roll() == 2
    assert await count_requests(embedded) == 2
    assert (await plan_buckets(embedded, 0, NOW_US)).stale == ()


async def test_the_sums_are_what_is_read(embedded: Columnar) -> None:
    """Or the tests of equality would compare the events with themselves."""
    roller = make_roller(embedded)
    await add(embedded, 1, 0)
    await roller.roll()
    await roller.roll()
    await embedded.command("TRUNCATE TABLE usage_events")
    assert await count_requests(embedded) == 1


async def test_a_lost_mark_is_found_out(embedded: Columnar) -> None:
    """The engine was killed between an insert and its mark."""
    roller = make_roller(embedded)
    await add(embedded, 1, 0)
    await add(embedded, 2, 14 * 12)
    await roller.roll()
    await roller.roll()
    assert await roller.verify() == 0
    await embedded.command("DROP VIEW usage_events_mark")
    await add(embedded, 3, 1)
    assert await count_requests(embedded) == 2
    assert await roller.verify() == 1
    assert await count_requests(embedded) == 3
    await roller.roll()
    await roller.roll()
    assert await count_requests(embedded) == 3
    assert await roller.verify() == 0
