"""What runs beside lone proxies: ships this home's segments, and follows a SQL server's changes.

The internal verb `companion`, a child of `proxy` (roles/lone_proxies.py), so that no proxy imports
SQL or a columnar store; and the body of the verb `worker`. Of several in one home one works, and
the others stand by for its end.
"""

import argparse
import asyncio
import itertools
import logging
import signal

from config.clock import Clock
from config.errors import ConfigError
from config.home import SHIPPER_LOCK_FILE, HomeLock
from config.log import configure_logging
from config.metrics import Metrics, retire_dead
from config.secrets import load_key_ring
from config.settings import Settings
from config.tasks import TaskOwner
from roles import lifeline, places
from roles.loop import run_on_fast_loop, stop_event_on
from roles.prepare import find_mock_url, show_keys
from roles.snapshot_keeper import SnapshotKeeper
from roles.sql_follower import SqlFollower
from roles.usage_store import UsageStore
from storage.sql import open_sql

STAND_BY_S = 1.0
METRICS_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The internal verb `companion`."""
    lifeline.follow_parent(arguments.lifeline_fd)
    lifeline.ignore_terminal_signals()
    configure_logging(settings.log_format, "companion")
    run_on_fast_loop(work(settings, "companion", (signal.SIGTERM,)))
    return 0


async def work(settings: Settings, role: str, signals: tuple[signal.Signals, ...]) -> None:
    """Until a signal: wait for the duty, do it, and ship what is left."""
    stop = stop_event_on(*signals)
    lock = HomeLock(settings.home, SHIPPER_LOCK_FILE)
    if not await _take_duty(lock, stop):
        return
    try:
        await _Companion(settings, role).run(stop)
    finally:
        lock.release()


async def _take_duty(lock: HomeLock, stop: asyncio.Event) -> bool:
    """True once this process is the one that ships; False when it is to stop before."""
    is_said = False
    while not stop.is_set():
        try:
            lock.acquire()
        except ConfigError as error:
            if not is_said:
                _log.info("standing by: %s", error.message)
            is_said = True
            await _wait(stop, STAND_BY_S)
        else:
            return True
    return False


class _Companion:
    """The shipper and the follower of one home."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._metrics = Metrics(places.metrics_directory(settings), role)
        clock = Clock.of(settings)
        key_ring = load_key_ring(settings)
        # An embedded store has its owner elsewhere: what is written waits for it in the log.
        self._usage = (
            UsageStore(settings, clock, self._metrics, key_ring)
            if settings.has_columnar_server
            else None
        )
        self._engine = open_sql(settings.sql_url)
        mock_url = find_mock_url(settings)
        self._keeper = SnapshotKeeper(settings, key_ring, self._engine, clock, mock_url)
        self._tasks = TaskOwner()

    async def run(self, stop: asyncio.Event) -> None:
        self._tasks.start(self._flush_metrics_forever(), "metrics")
        if self._settings.has_sql_server:
            follower = SqlFollower(self._settings, self._engine, self._take_configuration)
            self._tasks.start(follower.run(), "follow SQL")
        try:
            await (stop.wait() if self._usage is None else self._usage.run(stop))
        finally:
            await self._tasks.stop()
            if self._usage is not None:
                await self._usage.close()
            await self._engine.dispose()
            self._metrics.flush()

    async def _take_configuration(self) -> None:
        """The proxies look at the file each second."""
        kept = await self._keeper.refresh(self._keeper.load_operator())
        show_keys(self._settings, kept)
        if kept.is_new:
            _log.info("snapshot %d written", kept.snapshot.number)

    async def _flush_metrics_forever(self) -> None:
        directory = places.metrics_directory(self._settings)
        for second in itertools.count():
            self._metrics.flush()
            if second % 60 == 0:
                await asyncio.to_thread(retire_dead, directory)
            await asyncio.sleep(METRICS_INTERVAL_S)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
