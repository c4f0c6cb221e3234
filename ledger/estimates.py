"""Estimates what unknown usage may have been: counts the tokens of what the proxies kept of it.

Run beside the shipper in the control process. A record is deleted only after its row is in the
store; a crash in between repeats the insert, which the store merges away by the END's event id.
"""

import asyncio
import hashlib
import logging
import os
import re
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from config.clock import Clock
from config.metrics import Metrics
from config.secrets import KeyRing
from ledger.book_shelf import BookShelf
from ledger.estimating import estimate_row
from ledger.token_counting import EncodingMissingError, TokenCounter
from ledger.unmetered_record import SUFFIX, open_record
from ledger.usage_row import month_of
from storage.columnar import Columnar, ColumnarError

_log = logging.getLogger(__name__)
_TABLE = "usage_estimates"
_ASIDE = "aside"
_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}" + re.escape(SUFFIX))
_INTERVAL_S = 2.0
_LONGEST_PAUSE_S = 60.0
_BATCH_RECORDS = 200
_BATCH_BYTES = 2_097_152  # a stop waits for the batch under way
_LARGEST_RECORD_BYTES = 4_194_304
_MOST_ASIDE = 100
_TEMPORARY_LIVES_S = 60.0


@dataclass(frozen=True, slots=True)
class _Counted:
    """A record's file and its row."""

    path: Path
    row: dict[str, Any]


class Estimator:
    """Works off every record under a directory; one instance at a time per store."""

    def __init__(
        self,
        directory: Path,
        key_ring: KeyRing,
        columnar: Columnar,
        books: BookShelf,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        self._directory = directory
        self._key_ring = key_ring
        self._columnar = columnar
        self._books = books
        self._clock = clock
        self._metrics = metrics
        self._counter = TokenCounter()

    async def run(self, stop: asyncio.Event) -> None:
        """Look every 2 s until `stop`; what cannot be done now is tried again, ever more slowly."""
        pause_s = _INTERVAL_S
        while not stop.is_set():
            try:
                await self.estimate(stop)
            except (ColumnarError, EncodingMissingError, OSError) as error:
                if pause_s == _INTERVAL_S:  # once per trouble
                    _log.warning("unknown usage is not estimated for now: %s", error)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                pause_s = _INTERVAL_S
            await _wait(stop, pause_s)

    async def estimate(self, stop: asyncio.Event | None = None) -> int:
        """Work off all there is, or until `stop`; the number of estimates made.

        Raises ColumnarError, EncodingMissingError, OSError; what is not inserted stays on disk.
        """
        done = 0
        while stop is None or not stop.is_set():
            counted, seen = await asyncio.to_thread(self._count_some)
            if not seen:
                return done
            await self._insert(counted)
            await asyncio.to_thread(_remove, [each.path for each in counted])
            done += len(counted)
            if self._metrics is not None and counted:
                self._metrics.count("apex_estimates_total", (), len(counted))
        return done

    def _count_some(self) -> tuple[list[_Counted], int]:
        """A batch of records with their rows, and how many files were looked at."""
        counted: list[_Counted] = []
        seen = size = 0
        for path in self._list_records():
            if seen >= _BATCH_RECORDS or size >= _BATCH_BYTES:
                break
            seen += 1
            try:
                sealed = _read(path)
                size += len(sealed)
                record = open_record(sealed, self._key_ring)
                counted.append(_Counted(path, estimate_row(record, self._counter, self._books)))
            except FileNotFoundError:
                continue
            except (EncodingMissingError, OSError):
                raise
            except Exception as error:  # noqa: BLE001  one odd text must not hold up the others
                self._set_aside(path, error)
        return counted, seen

    async def _insert(self, counted: list[_Counted]) -> None:
        months: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for each in counted:
            months[month_of(each.row)].append(each.row)
        for rows in months.values():
            lines = b"\n".join(orjson.dumps(row) for row in rows)
            await self._columnar.insert_json_lines(_TABLE, lines, hashlib.sha256(lines).hexdigest())

    def _list_records(self) -> list[Path]:
        """The records of every proxy; what a killed one was writing is removed after a minute."""
        found: list[Path] = []
        for part in sorted(self._directory.glob("proxy-*")):
            for path in sorted(part.iterdir()):
                if path.name.endswith(".tmp"):
                    self._remove_stale(path)
                elif _NAME.fullmatch(path.name):
                    found.append(path)
                else:
                    self._set_aside(path, ValueError("no name of a record"))
        return found

    def _remove_stale(self, path: Path) -> None:
        try:
            age_s = self._clock.now() - path.stat().st_mtime
            if age_s > _TEMPORARY_LIVES_S and not self._clock.is_scaled:
                path.unlink()
        except FileNotFoundError:
            return

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Out of the way, and never read again; the oldest go when there are many."""
        _log.error(
            "a record of unknown usage is set aside: %s (%s)", path.name, type(error).__name__
        )
        aside = self._directory / _ASIDE
        aside.mkdir(mode=0o700, exist_ok=True)
        path.replace(aside / path.name)
        kept = sorted(aside.iterdir(), key=lambda each: each.stat().st_mtime)
        for old in kept[:-_MOST_ASIDE]:
            old.unlink()
        if self._metrics is not None:
            self._metrics.count("apex_unmetered_dropped_total", ("unreadable",))


def _read(path: Path) -> bytes:
    """The file. ValueError when it is no file of ours, or larger than any record."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError("no plain file")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise ValueError("another user's file") from error
    with os.fdopen(descriptor, "rb") as file:
        sealed = file.read(_LARGEST_RECORD_BYTES + 1)
    if len(sealed) > _LARGEST_RECORD_BYTES:
        raise ValueError("larger than any record")
    return sealed


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
