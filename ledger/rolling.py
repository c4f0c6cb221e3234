"""Sums usage by the hour once an hour is over, and anew whenever events of it come in late.

Run by ledger.worker beside the shipper. A crash anywhere only leaves an hour to be summed again:
until it says that it is, every question reads its events.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from config.clock import Clock
from ledger.hour_plan import merge
from ledger.hourly_sql import (
    DIRTY,
    HOUR_US,
    Window,
    count_events,
    roll_sums,
    roll_unended,
)
from storage.columnar import Columnar, ColumnarError

_log = logging.getLogger(__name__)
_SPAN = "SELECT min(hour) AS first, max(hour) AS last FROM usage_rolled"
_ROLLED = """
SELECT hour, argMax(events, version) AS held FROM usage_rolled
WHERE hour >= {first:Int64} AND hour < {last:Int64} GROUP BY hour
"""
_LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class RollerOptions:
    """An hour is summed when it has been over for `settle_us` and two looks found no new events."""

    interval_s: float = 30.0
    settle_us: int = 15 * 60 * 1_000_000
    hours_at_once: int = 24
    hours_verified_at_once: int = 14 * 24


class Roller:
    """Keeps the sums of one store; several at once cost work and no exactness."""

    def __init__(
        self, columnar: Columnar, clock: Clock, options: RollerOptions | None = None
    ) -> None:
        self._columnar = columnar
        self._clock = clock
        self._options = options or RollerOptions()
        self._seen: dict[int, int] = {}

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
        """Sum every hour that is over and unchanged since the last look; returns how many.

        Between two looks what was being inserted has become visible. Raises ColumnarError.
        """
        last = (self._clock.now_us() - self._options.settle_us) // HOUR_US
        rows = await self._columnar.query(DIRTY, {"first": 0, "last": last})
        calm = [row for row in rows if self._seen.get(row["hour"]) == row["inserts"]]
        self._seen = {row["hour"]: row["inserts"] for row in rows}
        for start in range(0, len(calm), self._options.hours_at_once):
            await self._roll(calm[start : start + self._options.hours_at_once])
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
            held = await self._columnar.query(count_events([window]))
            events = {row["hour"]: row["events"] for row in held}
            wrong += [row["hour"] for row in rolled if events.get(row["hour"], 0) != row["held"]]
        if wrong:
            marks = [{"hour": hour, "inserts": 1} for hour in wrong]
            await self._insert("usage_hour_marks", marks, f"verify:{self._clock.now_us()}")
            _log.warning("%d hours of usage are summed again", len(wrong))
        return len(wrong)

    def _stretches(self, first: int, last: int) -> Iterator[Window]:
        step = self._options.hours_verified_at_once
        for start in range(first, last, step):
            yield start, min(start + step, last)

    async def _roll(self, rows: Sequence[dict[str, int]]) -> None:
        """The rows first, what makes them count last."""
        version = max(self._clock.now_us(), *(row["version"] + 1 for row in rows))
        hours = merge((row["hour"], row["hour"] + 1) for row in rows)
        windows = [(since * HOUR_US, until * HOUR_US) for since, until in hours]
        counted = await self._columnar.query(count_events(windows))
        events = {row["hour"]: row["events"] for row in counted}
        await self._columnar.command(roll_sums(windows, version))
        await self._columnar.command(roll_unended(windows, version))
        marks = [
            {
                "hour": row["hour"],
                "version": version,
                "inserts": row["inserts"],
                "events": events.get(row["hour"], 0),
            }
            for row in rows
        ]
        await self._insert("usage_rolled", marks, f"roll:{version}")
        await self._forget([row for row in rows if row["version"]], version)

    async def _forget(self, rows: Sequence[dict[str, int]], version: int) -> None:
        """Remove what was summed before; it counts no more, and only takes room."""
        if not rows:
            return
        hours = ", ".join(str(row["hour"]) for row in rows)
        for table in ("usage_hourly", "usage_unended"):
            await self._columnar.command(
                f"ALTER TABLE {table} DELETE WHERE hour IN ({hours}) AND version < {version}"
            )

    async def _insert(self, table: str, rows: Sequence[dict[str, int]], token: str) -> None:
        lines = b"\n".join(orjson.dumps(row) for row in rows)
        await self._columnar.insert_json_lines(table, lines, token)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
