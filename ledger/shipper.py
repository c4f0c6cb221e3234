"""Brings the segment log into the columnar store: at least once, and idempotent by event id.

Run by ledger.worker in the control process. It keeps nothing of its own: where a segment was left
is asked of the store, so that a crash anywhere only repeats what the store drops again.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import orjson

from config.clock import Clock
from config.metrics import Metrics
from ledger.book_shelf import BookShelf
from ledger.segment_reader import (
    CorruptSegmentError,
    Record,
    SegmentFile,
    list_segments,
    read_segment,
    remove_segment,
)
from ledger.usage_row import UnreadableEventError, month_of, row_of
from storage.columnar import Columnar, ColumnarError

_log = logging.getLogger(__name__)
_TABLE = "usage_events"
_POSITIONS = """
SELECT segment, max(next_offset) AS position FROM usage_events
WHERE segment IN {segments:Array(String)} GROUP BY segment
"""
_NAMES_PER_QUERY = 500  # parameters travel in the URL to a server
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class ShipperOptions:
    """Batches are bounded in records and bytes; shipped segments stay `retention_s` on disk."""

    batch_events: int = 5000
    batch_bytes: int = 4 * 1024 * 1024  # held twice while it is sent
    interval_s: float = 0.2
    retention_s: float = 7 * 86_400.0


@dataclass(slots=True)
class ShipReport:
    """What one pass did. `damaged` says, by segment, why shipping of it has stopped."""

    events: int = 0
    batches: int = 0
    removed_segments: int = 0
    oldest_at_us: int = 0
    damaged: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one segment and one month: the engine takes them all or none."""

    lines: bytes
    events: int
    start: int
    end: int
    oldest_at_us: int


class Shipper:
    """Ships every segment under a directory; one instance at a time per store."""

    def __init__(
        self,
        segments_dir: Path,
        columnar: Columnar,
        books: BookShelf,
        clock: Clock,
        metrics: Metrics | None = None,
        options: ShipperOptions | None = None,
    ) -> None:
        self._segments_dir = segments_dir
        self._columnar = columnar
        self._books = books
        self._clock = clock
        self._metrics = metrics
        self._options = options or ShipperOptions()
        self._positions: dict[str, int] = {}
        self._finished: set[str] = set()
        self._damaged: dict[str, str] = {}
        self._lock = asyncio.Lock()

    async def ship(self) -> ShipReport:
        """Ship all there is; returns when nothing is left. Raises ColumnarError.

        A damaged segment stops at the damage, is logged once, and the others go on.
        """
        async with self._lock:
            report = ShipReport()
            segments = await asyncio.to_thread(list_segments, self._segments_dir)
            await self._learn_positions(segments)
            for segment in segments:
                if segment.name not in self._finished and segment.name not in self._damaged:
                    await self._ship_segment(segment, report)
            report.removed_segments = await asyncio.to_thread(self._retire, segments)
            report.damaged = dict(self._damaged)
            return report

    async def run(self, stop: asyncio.Event) -> None:
        """Ship every 0.2 s until `stop`; a store that is down is retried, ever more slowly."""
        pause_s = self._options.interval_s
        is_away = False
        whole_at_us = self._clock.now_us()
        while not stop.is_set():
            began_us = self._clock.now_us()
            try:
                report = await self.ship()
            except (ColumnarError, OSError) as error:
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                self._count("apex_ship_errors_total", 1)
                # A pass fails over something to ship, and all before the last whole one is stored.
                self._observe_lag(whole_at_us)
                if not is_away:  # once per change: a store may be away for hours
                    _log.warning("usage events wait on disk: %s", error)
                is_away = True
            else:
                if is_away:
                    _log.warning("usage events are shipped again")
                is_away = False
                whole_at_us = began_us
                pause_s = self._options.interval_s
                self._observe(report)
            await _wait(stop, pause_s)

    async def _learn_positions(self, segments: list[SegmentFile]) -> None:
        """Ask the store how far each segment that is new to us has come."""
        names = [segment.name for segment in segments if segment.name not in self._positions]
        for first in range(0, len(names), _NAMES_PER_QUERY):
            some = names[first : first + _NAMES_PER_QUERY]
            rows = await self._columnar.query(_POSITIONS, {"segments": some})
            self._positions.update(dict.fromkeys(some, 0))
            self._positions.update({row["segment"]: row["position"] for row in rows})

    async def _ship_segment(self, segment: SegmentFile, report: ShipReport) -> None:
        is_more = True
        while is_more:
            position = self._positions[segment.name]
            try:
                batch, is_more = await asyncio.to_thread(self._next_batch, segment, position)
            except (CorruptSegmentError, UnreadableEventError) as error:
                self._give_up(segment, str(error))
                return
            if batch is not None:
                await self._insert(segment, batch)
                report.events += batch.events
                report.batches += 1
                report.oldest_at_us = report.oldest_at_us or batch.oldest_at_us
        if segment.is_sealed:
            self._finished.add(segment.name)

    def _next_batch(self, segment: SegmentFile, position: int) -> tuple[_Batch | None, bool]:
        """The records from `position` on that fit a batch; whether there may be more after it.

        What lies before a damage is shipped first: the damage is raised when it comes first.
        """
        if segment.path.stat().st_size <= position:
            return None, False
        rows: list[bytes] = []
        month, end, oldest_at_us, size = "", position, 0, 0
        for record in _readable(segment.path, position, self._options.batch_events):
            try:
                row = row_of(record, segment.name, self._books)
            except UnreadableEventError as error:
                if rows:
                    break
                raise CorruptSegmentError(segment.path, record.offset, str(error)) from error
            if rows and month_of(row) != month:
                break
            month, end = month_of(row), record.next_offset
            oldest_at_us = oldest_at_us or row["at_us"]
            rows.append(orjson.dumps(row))
            size += len(rows[-1])
            if size >= self._options.batch_bytes:
                break
        if not rows:
            return None, False
        return _Batch(b"\n".join(rows), len(rows), position, end, oldest_at_us), True

    async def _insert(self, segment: SegmentFile, batch: _Batch) -> None:
        token = f"{segment.name}:{batch.start}-{batch.end}"
        try:
            await self._columnar.insert_json_lines(_TABLE, batch.lines, token)
        except ColumnarError:
            # It may have taken effect all the same: only the store knows where it stands now.
            self._positions.pop(segment.name, None)
            raise
        self._positions[segment.name] = batch.end

    def _give_up(self, segment: SegmentFile, reason: str) -> None:
        self._damaged[segment.name] = reason
        self._count("apex_ship_errors_total", 1)
        _log.error("usage events of a segment are held back, the rest go on: %s", reason)

    def _retire(self, segments: list[SegmentFile]) -> int:
        """Remove what is shipped whole and old. A scaled clock says nothing of a file's age."""
        if self._clock.is_scaled:
            return 0
        oldest = self._clock.now() - self._options.retention_s
        expired = [
            segment
            for segment in segments
            if segment.name in self._finished and segment.path.stat().st_mtime < oldest
        ]
        for segment in expired:
            remove_segment(segment)
            self._finished.discard(segment.name)
            self._positions.pop(segment.name, None)
        return len(expired)

    def _observe(self, report: ShipReport) -> None:
        self._count("apex_shipped_events_total", report.events)
        self._observe_lag(report.oldest_at_us)

    def _observe_lag(self, oldest_us: int) -> None:
        """0 when nothing waits."""
        if self._metrics is not None:
            lag_s = (self._clock.now_us() - oldest_us) / 1_000_000 if oldest_us else 0.0
            self._metrics.gauge("apex_ship_lag_seconds", max(0.0, lag_s))

    def _count(self, name: str, amount: int) -> None:
        if self._metrics is not None and amount:
            self._metrics.count(name, (), amount)


def _readable(path: Path, position: int, most: int) -> Iterator[Record]:
    """Records up to the limit; a damage behind at least one good record ends them quietly."""
    has_any = False
    try:
        for record in islice(read_segment(path, position), most):
            has_any = True
            yield record
    except CorruptSegmentError:
        if not has_any:
            raise


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
