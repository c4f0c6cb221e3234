"""Sums usage by hours and days once they are over, and anew whenever events of them come in late.

Run by ledger.worker beside the shipper. A crash anywhere only leaves a bucket to be summed again:
until it says that it is, every question reads its events.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import orjson

from config.clock import Clock
from ledger.apart_sql import roll_late_ends, roll_retried, roll_unended
from ledger.bucket_plan import DAY_HOURS, HOUR_US, STALE, Window, merge
from ledger.bucket_sql import count_events, roll_sums
from storage.columnar import Columnar, ColumnarError

_log = logging.getLogger(__name__)
_SPAN = "SELECT min(bucket) AS first, max(bucket) AS last FROM usage_rolled WHERE hours = 1"
_ROLLED = """
SELECT bucket, argMax(events, version) AS held FROM usage_rolled
WHERE hours = 1 AND bucket >= {first:Int64} AND bucket < {last:Int64} GROUP BY bucket
"""
_LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class RollerOptions:
    """A bucket is summed when it is over for `settle_us` and two looks found no new events."""

    interval_s: float = 30.0
    settle_us: int = 15 * 60 * 1_000_000
    hours_at_once: int = 24  # a day, so that a day of many events is summed alone
    hours_verified_at_once: int = 14 * 24


class Roller:
    """Keeps the sums of one store; several at once cost work and no exactness."""

    def __init__(
        self, columnar: Columnar, clock: Clock, options: RollerOptions | None = None
    ) -> None:
        self._columnar = columnar
        self._clock = clock
        self._options = options or RollerOptions()
        self._seen: dict[tuple[int, int], int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Sum until `stop`; a store that is away is tried again."""
        pause_s, is_verified = self._options.interval_s, False
        while not stop.is_set():
            try:
                if not is_verified:
                    await self.verify()
                is_verified = True
                await self.roll()
                pause_s = self._options.interval_s
            except ColumnarError as error:
                _log.warning("usage is not summed by the hour now: %s", error)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            await _wait(stop, pause_s)

    async def roll(self) -> int:
        """Sum every bucket that is over and unchanged since the last look; returns how many.

        Between two looks what was being inserted has become visible. Raises ColumnarError.
        """
        over_us = self._clock.now_us() - self._options.settle_us
        rows = [
            row
            for row in await self._columnar.query(STALE)
            if (row["bucket"] + 1) * row["hours"] * HOUR_US <= over_us
        ]
        seen, self._seen = (
            self._seen,
            {(row["hours"], row["bucket"]): row["inserts"] for row in rows},
        )
        calm = [row for row in rows if seen.get((row["hours"], row["bucket"])) == row["inserts"]]
        for hours in (1, DAY_HOURS):
            some = sorted((row for row in calm if row["hours"] == hours), key=itemgetter("bucket"))
            step = self._options.hours_at_once // hours or 1
            for start in range(0, len(some), step):
                await self._roll(hours, some[start : start + step])
        return len(calm)

    async def verify(self) -> int:
        """Have hours summed again that hold other events than were summed; returns how many.

        An engine that was killed may have kept an insert and lost its mark. Raises ColumnarError.
        """
        span = (await self._columnar.query(_SPAN))[0]
        wrong = []
        for first, last in self._stretches(span["first"], span["last"] + 1):
            asked = {"first": first, "last": last}
            rolled = await self._columnar.query(_ROLLED, asked)
            window = (first * HOUR_US, last * HOUR_US)
            held = await self._columnar.query(count_events(1, [window]))
            events = {row["bucket"]: row["events"] for row in held}
            wrong += [
                row["bucket"] for row in rolled if events.get(row["bucket"], 0) != row["held"]
            ]
        if wrong:
            marks = [{"hour": hour, "inserts": 1} for hour in wrong]
            await self._insert("usage_hour_marks", marks, f"verify:{self._clock.now_us()}")
            _log.warning("%d hours of usage are summed again", len(wrong))
        return len(wrong)

    def _stretches(self, first: int, last: int) -> Iterator[Window]:
        step = self._options.hours_verified_at_once
        for start in range(first, last, step):
            yield start, min(start + step, last)

    async def _roll(self, hours: int, rows: Sequence[dict[str, int]]) -> None:
        """The sums first, what makes them count last."""
        version = max(self._clock.now_us(), *(row["version"] + 1 for row in rows))
        unit = hours * HOUR_US
        windows = merge((row["bucket"] * unit, (row["bucket"] + 1) * unit) for row in rows)
        counted = await self._columnar.query(count_events(hours, windows))
        events = {row["bucket"]: row["events"] for row in counted}
        await self._columnar.command(roll_sums(hours, windows, version))
        if hours == 1:
            await self._columnar.command(roll_retried(windows, version))
            await self._columnar.command(roll_unended(windows, version))
            await self._columnar.command(roll_late_ends(windows))
        rolled = [
            {**row, "version": version, "events": events.get(row["bucket"], 0)} for row in rows
        ]
        await self._insert("usage_rolled", rolled, f"roll:{hours}:{version}")
        again = [row["bucket"] for row in rows if row["version"]]
        if again:
            await self._forget(hours, again, version)

    async def _forget(self, hours: int, buckets: Sequence[int], version: int) -> None:
        """Remove what was summed before; it counts no more, and only takes room."""
        among = f"({', '.join(map(str, buckets))}) AND version < {version}"
        await self._columnar.command(
            f"ALTER TABLE usage_sums DELETE WHERE hours = {hours} AND bucket IN {among}"
        )
        if hours == 1:
            await self._columnar.command(f"ALTER TABLE usage_apart DELETE WHERE hour IN {among}")

    async def _insert(self, table: str, rows: Sequence[dict[str, int]], token: str) -> None:
        lines = b"\n".join(orjson.dumps(row) for row in rows)
        await self._columnar.insert_json_lines(table, lines, token)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
