"""The worker's body: it ships while it lives, and once more at its end."""

import asyncio

import pytest

from ledger.worker import run_worker
from tests.gateway import wait_until
from tests.ledger.samples import Ledger, make_pair


async def has_stored(ledger: Ledger, count: int) -> bool:
    return await ledger.count_stored() == count


async def test_what_was_written_last_is_shipped_before_it_ends(ledger: Ledger) -> None:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_worker(ledger.make_shipper(interval_s=30.0), stop))
        ledger.write(make_pair("r1"))
        await wait_until(lambda: has_stored(ledger, 2))
        ledger.write(make_pair("r2"))
        stop.set()
    assert await ledger.count_stored() == 4


async def test_a_store_that_is_down_at_the_end_costs_nothing(
    any_ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    await any_ledger.columnar.command("RENAME TABLE usage_events TO away")
    any_ledger.write(make_pair("r1"))
    stop = asyncio.Event()
    stop.set()
    await run_worker(any_ledger.shipper, stop)
    assert "next start" in caplog.text
    await any_ledger.columnar.command("RENAME TABLE away TO usage_events")
    await any_ledger.make_shipper().ship()
    assert await any_ledger.count_stored() == 2
