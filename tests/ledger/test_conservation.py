"""Conservation: exact when all is well, and whatever is wrong is said."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from ledger.conservation import ConservationReport, check_conservation
from ledger.open_attempts import OPEN_FOR_US
from ledger.segment_reader import list_segments
from storage.columnar import Columnar
from tests.ledger.samples import Ledger, make_pair, make_start


async def check(ledger: Ledger, **options: Any) -> ConservationReport:
    options = {"mock_bill": None, "settle_s": 0.0, **options}
    return await check_conservation(
        ledger.columnar, ledger.segments_dir, clock=ledger.clock, **options
    )


@pytest.mark.engines
async def test_log_and_store_agree(any_ledger: Ledger) -> None:
    any_ledger.write([event for number in range(50) for event in make_pair(f"r{number}")])
    await any_ledger.shipper.ship()
    report = await check(any_ledger)
    assert report.is_exact
    assert report.rows == [
        "log: 50 starts = 50 ends + 0 open + 0 unknown",
        "store: 100 events logged = 100 stored + 0 repeats + 0 missing; 0 not in the log, "
        "0 doubled",
        "exact",
    ]


async def test_an_empty_home_is_exact(ledger: Ledger) -> None:
    assert (await check(ledger)).is_exact


async def test_open_and_unknown_attempts_are_told_apart(ledger: Ledger) -> None:
    now_us = ledger.clock.now_us()
    dead = ledger.open_writer("proxy-1-bb")
    ledger.write([make_start("open", at_us=now_us)])
    ledger.write([make_start("old", at_us=now_us - OPEN_FOR_US - 1)])
    ledger.write([make_start("killed", at_us=now_us)], dead)
    dead.close()
    await ledger.shipper.ship()
    report = await check(ledger)
    assert report.is_exact
    counts = (report.starts, report.ends, report.open_attempts, report.unknown_attempts)
    assert counts == (3, 0, 1, 2)


async def test_what_is_missing_in_the_store_is_named(ledger: Ledger) -> None:
    ledger.write([event for number in range(30) for event in make_pair(f"r{number}")])
    await ledger.shipper.ship()
    await ledger.columnar.command(
        "ALTER TABLE usage_events DELETE WHERE kind = 'end' SETTINGS mutations_sync = 1"
    )
    report = await check(ledger)
    assert not report.is_exact
    assert len(report.store.missing) == 30
    assert "  missing in the store: and 10 more" in report.rows
    assert report.rows[-1] == "NOT exact"


async def test_what_is_not_in_the_log_is_named(ledger: Ledger) -> None:
    ledger.write(make_pair("r1"))
    await ledger.shipper.ship()
    await ledger.columnar.command(
        "INSERT INTO usage_events (event_id, tenant, kind, at_us, segment, writer) "
        "VALUES (generateUUIDv4(), 'acme', 'end', 1795400000000000, 'proxy-0-aa/00000001', 'x')"
    )
    report = await check(ledger)
    assert not report.is_exact
    assert len(report.store.not_in_log) == 1


async def test_a_record_written_twice_is_a_repeat_and_stored_once(ledger: Ledger) -> None:
    """After a failed write both copies may be in the log."""
    pair = make_pair("r1")
    ledger.write([*pair, *pair])
    await ledger.shipper.ship()
    report = await check(ledger)
    assert (report.is_exact, report.store.repeats, report.ends) == (True, 2, 1)


async def test_damage_is_never_exact(ledger: Ledger) -> None:
    ledger.write([*make_pair("r1"), *make_pair("r2")])
    ledger.writer.close()
    (segment,) = list_segments(ledger.segments_dir)
    content = bytearray(segment.path.read_bytes())
    content[-1] ^= 1
    segment.path.write_bytes(content)
    await ledger.shipper.ship()
    report = await check(ledger)
    assert not report.is_exact
    assert any("damaged at byte" in row for row in report.rows)
    assert report.store.stored == 3


async def test_torn_tails_and_expired_segments_are_said_and_are_no_gap(
    embedded: Columnar, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "home", embedded, max_bytes=1)
    ledger.write([*make_pair("r1"), *make_pair("r2")])
    ledger.writer.close()
    segments = list_segments(ledger.segments_dir)
    os.truncate(segments[-1].path, 10)
    await ledger.shipper.ship()
    segments[0].path.unlink()
    report = await check(ledger)
    assert report.is_exact
    assert "log: 10 bytes of torn tails, never acknowledged" in report.rows
    assert "log: 1 ends whose start is no longer retained" in report.rows
    assert report.unknown_attempts == 1


async def test_it_waits_for_a_shipper_at_work(ledger: Ledger) -> None:
    ledger.write([event for number in range(5) for event in make_pair(f"r{number}")])
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        checking = group.create_task(check(ledger, settle_s=20.0))
        group.create_task(ledger.shipper.run(stop))
        report = await checking
        stop.set()
    assert report.is_exact


async def test_the_bill_is_part_of_it(ledger: Ledger) -> None:
    ledger.write(make_pair("r1"))
    await ledger.shipper.ship()
    billed = {"id": "r1.1", "input_tokens": 100, "output_tokens": 10, "complete": True}
    report = await check(ledger, mock_bill=[{**billed, "cost_picousd": 450_000_000}])
    assert report.is_exact
    report = await check(ledger, mock_bill=[{**billed, "cost_picousd": 1}])
    assert not report.is_exact
    assert any("cost_picousd 1 billed" in row for row in report.rows)
