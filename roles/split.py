"""`python main.py worker|admin` alone: only on server engines, and refused with the reason else."""

import argparse
import asyncio
import signal

from config.clock import Clock
from config.home import HomeLock
from config.log import configure_logging
from config.metrics import Metrics
from config.secrets import load_key_ring
from config.settings import Settings
from roles import places
from roles.engines import check_can_split, refuse_lone_admin
from roles.loop import run_on_fast_loop, stop_event_on


def run_admin(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `admin`: this version serves the admin API inside `all`."""
    del arguments
    refuse_lone_admin(settings)


def run_worker(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `worker`: ships this host's segments into a ClickHouse server."""
    del arguments
    check_can_split(settings, "worker")
    configure_logging(settings.log_format, "worker")
    with HomeLock(settings.home):
        places.make_directories(settings)
        run_on_fast_loop(_ship(settings))
    return 0


async def _ship(settings: Settings) -> None:
    from roles.usage_store import UsageStore

    stop = stop_event_on(signal.SIGTERM, signal.SIGINT)
    metrics = Metrics(places.metrics_directory(settings), "worker")
    store = UsageStore(settings, Clock.of(settings), metrics, load_key_ring(settings))
    async with asyncio.TaskGroup() as tasks:
        flushing = tasks.create_task(_flush_forever(metrics))
        await store.run(stop)
        flushing.cancel()
    await store.close()
    metrics.flush()


async def _flush_forever(metrics: Metrics) -> None:
    while True:
        metrics.flush()
        await asyncio.sleep(1.0)
