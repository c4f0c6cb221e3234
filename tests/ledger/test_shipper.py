"""Shipping: each event once, whatever is repeated, cut, killed or down."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import clickhouse_connect
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.metrics import Metrics
from ledger.events import AttemptEnd, AttemptStart
from ledger.segment_reader import list_segments, read_segment
from ledger.shipper import Shipper
from storage.columnar import Columnar, ColumnarError, open_columnar
from storage.migrations import migrate_columnar
from tests.columnar_engines import ColumnarServer
from tests.gateway import wait_until
from tests.ledger.samples import AT_US, HOUR_US, Ledger, make_pair, make_start

MONTH_END_US = 1_796_083_200_000_000  # 2026-12-01T00:00:00Z


def make_events(
    requests: int, first: int = 0, at_us: int = AT_US
) -> list[AttemptStart | AttemptEnd]:
    return [
        event
        for number in range(first, first + requests)
        for event in make_pair(f"r{number}", at_us=at_us + number)
    ]


@pytest.mark.engines
async def test_every_event_arrives_with_its_amounts(any_ledger: Ledger) -> None:
    any_ledger.write(make_events(30))
    report = await any_ledger.shipper.ship()
    assert (report.events, report.damaged) == (60, {})
    rows = await any_ledger.stored("kind, cost_picousd, price_state, tags, at_us")
    assert len(rows) == 60
    assert [row["cost_picousd"] for row in rows if row["kind"] == "end"] == [450_000_000] * 30
    assert {row["cost_picousd"] for row in rows if row["kind"] == "start"} == {None}


@pytest.mark.engines
async def test_units_arrive_and_old_events_have_none(any_ledger: Ledger) -> None:
    units = {"web_search_calls": 2, "image:1024x1024:high": 1}
    old = make_pair("old", at_us=AT_US + 1)
    for event in old:
        event.schema = 1
    any_ledger.write([*make_pair("new", units=units), *old])
    await any_ledger.shipper.ship()
    rows = await any_ledger.stored("request_id, kind, units, cost_picousd")
    ends = {row["request_id"]: row for row in rows if row["kind"] == "end"}
    assert ends["new"]["units"] == units
    # The image is in the tokens already, the searches are paid beside them.
    assert ends["new"]["cost_picousd"] == 450_000_000 + 2 * 10**10
    assert ends["old"]["units"] == {}


@pytest.mark.engines
async def test_shipping_again_adds_nothing(any_ledger: Ledger) -> None:
    any_ledger.write(make_events(5))
    await any_ledger.shipper.ship()
    assert (await any_ledger.shipper.ship()).events == 0
    assert (await any_ledger.make_shipper().ship()).events == 0
    any_ledger.write(make_events(5, first=5))
    assert (await any_ledger.make_shipper().ship()).events == 10
    assert await any_ledger.count_stored() == 20


async def test_every_segment_of_every_writer_is_shipped(embedded: Columnar, tmp_path: Path) -> None:
    """Trust row 21: a dead worker's segments are shipped like the others."""
    ledger = Ledger(tmp_path / "home", embedded, max_bytes=4000)
    other = ledger.open_writer("proxy-1-bb", max_bytes=4000)
    ledger.write(make_events(20))
    ledger.write(make_events(20, first=20), other)
    other.close()
    assert len(list_segments(ledger.segments_dir)) > 10
    await ledger.shipper.ship()
    assert await ledger.count_stored() == 80
    ledger.writer.close()


async def test_a_batch_never_crosses_a_month(ledger: Ledger) -> None:
    """Only within one partition does the engine take a batch all or none."""
    ledger.write(make_pair("r1", at_us=MONTH_END_US - 1))
    ledger.write(make_pair("r2", at_us=MONTH_END_US))
    assert (await ledger.shipper.ship()).batches == 2
    assert await ledger.count_stored() == 4


async def test_batches_are_bounded_in_events_and_bytes(ledger: Ledger) -> None:
    ledger.write(make_events(10))
    report = await ledger.make_shipper(batch_events=7).ship()
    assert (report.events, report.batches) == (20, 3)
    ledger.write(make_events(10, first=10))
    assert (await ledger.make_shipper(batch_bytes=1).ship()).batches == 20


@pytest.mark.engines
async def test_a_reply_that_is_lost_doubles_nothing(
    columnar_server: ColumnarServer, tmp_path: Path
) -> None:
    """Trust row 5: the server commits and the answer never comes; or it fails and comes back."""
    store = open_columnar(columnar_server.url(await columnar_server.make_database()))
    await migrate_columnar(store)
    ledger = Ledger(tmp_path / "home", store)
    for step, fault in enumerate(["lose_replies", "fail_inserts"] * 3):
        ledger.write(make_events(4, first=4 * step))
        await columnar_server.set_fault(**{fault: 10})
        with pytest.raises(ColumnarError):
            await ledger.shipper.ship()
        ledger.write(make_events(4, first=100 + 4 * step))
        await columnar_server.set_fault()
        await ledger.shipper.ship()
    assert await ledger.count_stored() == 2 * 8 * 6
    doubled = await store.query("SELECT count() - uniqExact(event_id) AS n FROM usage_events")
    assert doubled == [{"n": 0}]
    ledger.writer.close()
    await store.close()


async def test_a_store_that_is_slow_and_commits_after_all_doubles_nothing(
    columnar_server: ColumnarServer, tmp_path: Path
) -> None:
    """Trust row 5: nobody waits for it any more, the batch is sent again, and then both work."""
    url = columnar_server.url(await columnar_server.make_database())
    store = open_columnar(f"{url}?send_receive_timeout=1")
    await migrate_columnar(store)
    ledger = Ledger(tmp_path / "home", store)
    ledger.write(make_events(4))
    await columnar_server.set_fault(hold_inserts=1)
    with pytest.raises(ColumnarError, match="timed out"):
        await ledger.shipper.ship()
    ledger.write(make_events(4, first=4))
    assert (await ledger.shipper.ship()).events == 16
    await columnar_server.set_fault()
    await wait_until(lambda: has_raw_rows(store, 24), 30, "the late insert has worked too")
    assert await ledger.count_stored() == 16
    ledger.writer.close()
    await store.close()


async def has_raw_rows(store: Columnar, count: int) -> bool:
    """Count what is there before the engine merges rows of one event."""
    return await store.query("SELECT count() AS n FROM usage_events") == [{"n": count}]


async def test_damage_stops_its_segment_and_no_other(
    embedded: Columnar, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(tmp_path / "home", embedded, max_bytes=8000)
    ledger.write(make_events(20))
    ledger.writer.close()
    damaged = list_segments(ledger.segments_dir)[1]
    content = bytearray(damaged.path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.path.write_bytes(content)
    metrics = Metrics(tmp_path / "metrics", "worker")
    shipper = Shipper(ledger.segments_dir, embedded, ledger.books, ledger.clock, metrics)
    for _ in range(3):
        report = await shipper.ship()
        assert list(report.damaged) == [damaged.name]
        assert "damaged at byte" in report.damaged[damaged.name]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    rows = await ledger.stored("DISTINCT segment, event_id")
    assert {row["segment"] for row in rows} == {s.name for s in list_segments(ledger.segments_dir)}
    assert 30 < len(rows) < 40
    assert metrics.totals.counters["apex_ship_errors_total"][()] == 1


async def test_a_record_that_is_no_event_stops_its_segment(ledger: Ledger) -> None:
    ledger.write(make_events(2))
    ledger.writer.append(b"no event")
    ledger.write(make_events(2, first=2))
    report = await ledger.shipper.ship()
    assert (report.events, list(report.damaged)) == (4, ["proxy-0-aa/00000001"])


async def test_a_torn_tail_waits_for_its_rest(ledger: Ledger) -> None:
    ledger.write(make_events(2))
    (segment,) = list_segments(ledger.segments_dir)
    whole = segment.path.read_bytes()
    os.truncate(segment.path, len(whole) - 3)
    assert (await ledger.shipper.ship()).events == 3
    segment.path.write_bytes(whole)
    assert (await ledger.shipper.ship()).events == 1


async def test_old_shipped_segments_are_removed(embedded: Columnar, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home", embedded, max_bytes=4000)
    ledger.write(make_events(20))
    segments = list_segments(ledger.segments_dir)
    os.truncate(segments[1].path, segments[1].path.stat().st_size - 1)
    for segment in (*segments[:3], segments[-1]):  # the last one is not sealed: its writer lives
        os.utime(segment.path, (0, 0))
    report = await ledger.shipper.ship()
    assert report.removed_segments == 3
    assert list_segments(ledger.segments_dir) == segments[3:]
    ledger.writer.close()
    for segment in list_segments(ledger.segments_dir):
        os.utime(segment.path, (0, 0))
    await ledger.shipper.ship()
    assert not list(ledger.segments_dir.iterdir())


async def test_it_ships_until_stopped(ledger: Ledger) -> None:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(ledger.shipper.run(stop))
        for number in range(3):
            ledger.write(make_pair(f"r{number}"))
            await wait_until(partial(has_stored, ledger, 2 * number + 2))
        stop.set()


async def has_stored(ledger: Ledger, count: int) -> bool:
    return await ledger.count_stored() == count


async def test_a_store_that_is_down_is_tried_again(
    columnar_server: ColumnarServer, tmp_path: Path
) -> None:
    """Trust row 5: events wait on disk, and all arrive when the store is back."""
    store = open_columnar(columnar_server.url(await columnar_server.make_database()))
    await migrate_columnar(store)
    ledger = Ledger(tmp_path / "home", store)
    metrics = Metrics(tmp_path / "metrics", "worker")
    shipper = Shipper(ledger.segments_dir, store, ledger.books, ledger.clock, metrics)
    await columnar_server.set_fault(fail_inserts=2)
    ledger.write(make_events(3))
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(shipper.run(stop))
        await wait_until(lambda: has_stored(ledger, 6))
        stop.set()
    assert metrics.totals.counters["apex_ship_errors_total"][()] >= 1
    assert metrics.totals.counters["apex_shipped_events_total"][()] == 6
    ledger.writer.close()
    await store.close()


async def test_the_lag_grows_while_the_store_is_down(
    columnar_server: ColumnarServer, tmp_path: Path
) -> None:
    store = open_columnar(columnar_server.url(await columnar_server.make_database()))
    await migrate_columnar(store)
    ledger = Ledger(tmp_path / "home", store)
    metrics = Metrics(tmp_path / "metrics", "worker")
    shipper = Shipper(ledger.segments_dir, store, ledger.books, ledger.clock, metrics)
    lag_s = metrics.totals.gauges["apex_ship_lag_seconds"]
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(shipper.run(stop))
        await wait_until(lambda: () in lag_s)  # a whole pass is behind it
        assert lag_s[()] == 0
        await columnar_server.set_fault(fail_inserts=1000)
        ledger.write(make_events(3, at_us=ledger.clock.now_us()))
        await wait_until(lambda: lag_s[()] > 1)
        await columnar_server.set_fault(fail_inserts=0)
        await wait_until(lambda: lag_s[()] == 0)
        assert await has_stored(ledger, 6)
        stop.set()
    ledger.writer.close()
    await store.close()


class ForgetfulStore(Columnar):
    """The real store, but what it says of shipped positions is what a crash would have left."""

    def __init__(self, directory: Path) -> None:
        url = f"chdb://{directory}"
        super().__init__(lambda: clickhouse_connect.get_client(dsn=url))
        self.draw_position: Callable[[str], int] = lambda _: 0

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        if "max(next_offset)" not in sql or parameters is None:
            return await super().query(sql, parameters)
        names = parameters["segments"]
        return [{"segment": name, "position": self.draw_position(name)} for name in names]


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgetfulStore]:
    store = ForgetfulStore(tmp_path_factory.mktemp("forgetful") / "store")
    asyncio.run(migrate_columnar(store))
    yield store
    asyncio.run(store.close())


@settings(max_examples=25, deadline=None)
@given(data=st.data(), requests=st.integers(1, 12), max_bytes=st.sampled_from([1, 3000, 1 << 20]))
def test_any_part_shipped_again_in_any_split_yields_the_same_rows(
    forgetful: ForgetfulStore, data: st.DataObject, requests: int, max_bytes: int
) -> None:
    """Each pass starts wherever a crash may have left each segment, with batches of its own."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(reship(forgetful, Path(directory), data, requests, max_bytes))


async def reship(
    store: ForgetfulStore, home: Path, data: st.DataObject, requests: int, max_bytes: int
) -> None:
    ledger = Ledger(home, store, max_bytes=max_bytes)
    await store.command("TRUNCATE TABLE usage_events")
    events = make_events(requests)
    for event in events:
        event.request_id += f"-{uuid4().hex}"  # a token of an earlier example must not fit
    ledger.write([*events, make_start(f"open-{uuid4().hex}", at_us=AT_US + HOUR_US)])
    ledger.writer.close()
    segments = list_segments(ledger.segments_dir)
    ends = {s.name: [0, *(r.next_offset for r in read_segment(s.path))] for s in segments}
    store.draw_position = lambda _: 0
    await ledger.shipper.ship()
    columns = "event_id, kind, segment, log_offset, next_offset, cost_picousd"
    expected = await ledger.stored(columns)
    assert len(expected) == 2 * requests + 1
    store.draw_position = lambda name: data.draw(st.sampled_from(ends[name]))
    for _ in range(data.draw(st.integers(1, 3))):
        await ledger.make_shipper(batch_events=data.draw(st.integers(1, 9))).ship()
        assert await ledger.stored(columns) == expected
