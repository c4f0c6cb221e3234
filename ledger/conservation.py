"""Does everything add up: the log against itself, against the store, and against a mock's bill.

Called by the admin API for `python main.py conservation`. It covers what the log still retains.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.clock import Clock
from ledger.bill_check import BillCheck, check_bill
from ledger.log_census import LogCensus, SegmentCensus, take_census
from ledger.open_attempts import OpenWindow, load_open_window
from storage.columnar import Columnar

_MOST_EXAMPLES = 20
_POLL_S = 0.1
_POSITION = "SELECT max(next_offset) AS position FROM usage_events WHERE segment = {segment:String}"
_SEGMENT = """
SELECT toString(event_id) AS id, log_offset FROM usage_events FINAL
WHERE segment = {segment:String} AND log_offset < {end:Int64}
"""
_FOUND = """
SELECT DISTINCT toString(event_id) AS id FROM usage_events WHERE event_id IN {ids:Array(UUID)}
"""
_DOUBLED = "SELECT count() - uniqExact(event_id) AS doubled FROM usage_events FINAL"
_IDS_PER_QUERY = 500


@dataclass(slots=True)
class StoreCheck:
    """The log's events against the store's, segment by segment."""

    logged: int = 0
    stored: int = 0
    repeats: int = 0
    missing: list[str] = field(default_factory=list)
    not_in_log: list[str] = field(default_factory=list)
    doubled: int = 0

    @property
    def is_exact(self) -> bool:
        return not (self.missing or self.not_in_log or self.doubled)


@dataclass(frozen=True, slots=True)
class ConservationReport:
    """`is_exact`: nothing lost, doubled, damaged or billed differently. `rows` say it in text."""

    starts: int
    ends: int
    open_attempts: int
    unknown_attempts: int
    store: StoreCheck
    bill: BillCheck | None
    is_exact: bool
    rows: list[str]


async def check_conservation(
    columnar: Columnar,
    segments_dir: Path,
    mock_bill: Sequence[Mapping[str, Any]] | None,
    clock: Clock,
    settle_s: float = 5.0,
) -> ConservationReport:
    """Compare log, store and bill. `settle_s` is how long a running shipper may take to catch up.

    A mock's bill is a list of {"id": "<request_id>.<attempt>", token buckets, "cost_picousd",
    "complete"}. Raises ColumnarError.
    """
    census = await asyncio.to_thread(take_census, segments_dir)
    window = await asyncio.to_thread(load_open_window, segments_dir, clock)
    deadline = clock.monotonic() + settle_s
    store = StoreCheck()
    for segment in census.segments:
        await _settle(columnar, segment, clock, deadline)
        await _compare(columnar, segment, store)
    rows = await columnar.query(_DOUBLED)
    store.doubled = int(rows[0]["doubled"])
    bill = None if mock_bill is None else await check_bill(columnar, mock_bill)
    return _report(census, window, store, bill)


async def _settle(
    columnar: Columnar, segment: SegmentCensus, clock: Clock, deadline: float
) -> None:
    while clock.monotonic() < deadline:
        rows = await columnar.query(_POSITION, {"segment": segment.name})
        if rows and rows[0]["position"] >= segment.end:
            return
        await asyncio.sleep(_POLL_S)


async def _compare(columnar: Columnar, segment: SegmentCensus, store: StoreCheck) -> None:
    """By (offset, id). A record that was written twice is stored under one of its places only."""
    rows = await columnar.query(_SEGMENT, {"segment": segment.name, "end": segment.end})
    stored = {(row["log_offset"], row["id"]) for row in rows}
    logged = set(segment.events)
    store.logged += len(logged)
    store.stored += len(stored & logged)
    store.not_in_log += [f"{segment.name}:{offset} {id_}" for offset, id_ in stored - logged]
    elsewhere = sorted(logged - stored)
    for first in range(0, len(elsewhere), _IDS_PER_QUERY):
        some = elsewhere[first : first + _IDS_PER_QUERY]
        found_rows = await columnar.query(_FOUND, {"ids": [id_ for _, id_ in some]})
        found = {row["id"] for row in found_rows}
        store.repeats += sum(id_ in found for _, id_ in some)
        store.missing += [f"{segment.name}:{o} {id_}" for o, id_ in some if id_ not in found]


def _report(
    census: LogCensus, window: OpenWindow, store: StoreCheck, bill: BillCheck | None
) -> ConservationReport:
    without_end = census.without_end
    open_count = sum(window.has(writer, at_us) for writer, at_us in without_end)
    unknown = len(without_end) - open_count
    is_exact = (
        store.is_exact
        and not census.damaged
        and not census.ends_without_start
        and (bill is None or bill.is_exact)
    )
    rows = [
        f"log: {census.starts} starts = {census.ends} ends + {open_count} open + {unknown} unknown",
        *_remarks(census),
        f"store: {store.logged} events logged = {store.stored} stored + {store.repeats} repeats "
        f"+ {len(store.missing)} missing; {len(store.not_in_log)} not in the log, "
        f"{store.doubled} doubled",
        *_examples("missing in the store", store.missing),
        *_examples("not in the log", store.not_in_log),
        *(bill.rows(_MOST_EXAMPLES) if bill else []),
        "exact" if is_exact else "NOT exact",
    ]
    return ConservationReport(
        census.starts, census.ends, open_count, unknown, store, bill, is_exact, rows
    )


def _remarks(census: LogCensus) -> list[str]:
    rows = [f"log: damaged, the rest of it is held back: {reason}" for reason in census.damaged]
    if census.torn_bytes:
        rows.append(f"log: {census.torn_bytes} bytes of torn tails, never acknowledged")
    if census.ends_past_retention:
        rows.append(f"log: {census.ends_past_retention} ends whose start is no longer retained")
    rows += _examples("ends without start", census.ends_without_start)
    return rows


def _examples(what: str, items: list[str]) -> list[str]:
    if not items:
        return []
    rows = [f"  {what}: {item}" for item in sorted(items)[:_MOST_EXAMPLES]]
    hidden = len(items) - len(rows)
    return [*rows, f"  {what}: and {hidden} more"] if hidden else rows
