"""The verb `rotate-master-key`: moves all that is sealed to the current master key, and reports.

It asks the running gateway, which serves on meanwhile; where none runs it works on the store
itself. It may be stopped at any time and started again.
"""

import argparse
import asyncio
import itertools
from collections.abc import Iterator

from config.clock import Clock
from config.errors import ConfigError
from config.home import HomeLock
from config.log import configure_logging
from config.secrets import KeyRing, load_key_ring, sealed_under
from config.settings import Settings
from policies.rotation import count_remaining, rotate_some
from roles import places
from roles.admin_client import find_running
from roles.engines import check_engines
from roles.prepare import build_once
from storage.migrations import migrate_sql
from storage.sql import open_sql

MOST_STEPS = 100_000
POLL_S = 0.2
MOST_POLLS = 150


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """0 when the older master keys are needed no more, 1 when something remains."""
    del arguments
    configure_logging(settings.log_format, "rotate")
    ring = load_key_ring(settings)
    print(f"master key in use: {ring.key_id} (set: {', '.join(ring.key_ids)})")
    running = find_running(settings)
    if running is None:
        check_engines(settings)
        with HomeLock(settings.home):
            remaining = asyncio.run(_rotate_alone(settings, ring))
    else:
        remaining = 0
        for _ in range(MOST_STEPS):
            state = running.post("/admin/v1/master-key/rotate", {})
            _check_same(state["key_id"], ring)
            remaining = state["remaining"]
            if state["done"]:
                print(f"moved {state['done']}, {remaining} remaining", flush=True)
            if not state["done"] or not remaining:
                break
    files = asyncio.run(_wait_for_files(settings, ring, is_running=running is not None))
    return _report(ring, remaining, files)


def _check_same(key_id: str, ring: KeyRing) -> None:
    if key_id != ring.key_id:
        raise ConfigError(
            f"the running gateway uses master key {key_id!r}, and {ring.key_id!r} is set here",
            "restart the gateway with the same APEX_MASTER_KEYS first",
        )


async def _rotate_alone(settings: Settings, ring: KeyRing) -> int:
    places.make_directories(settings)
    await migrate_sql(settings.sql_url)
    engine, clock = open_sql(settings.sql_url), Clock.of(settings)
    try:
        for _ in range(MOST_STEPS):
            async with engine.begin() as connection:
                done = await rotate_some(connection, ring, clock.now())
                remaining = (await count_remaining(connection, ring)).total
            if done:
                print(f"moved {done}, {remaining} remaining", flush=True)
            if not done or not remaining:
                break
    finally:
        await engine.dispose()
    await build_once(settings)
    return remaining


async def _wait_for_files(settings: Settings, ring: KeyRing, *, is_running: bool) -> list[str]:
    """The snapshot is written anew in a moment, and prompts are counted within seconds."""
    for poll in itertools.count():
        stale = list(stale_files(settings, ring))
        if not stale or not is_running or poll >= MOST_POLLS:
            return stale
        await asyncio.sleep(POLL_S)
    raise AssertionError("unreachable")


def stale_files(settings: Settings, ring: KeyRing) -> Iterator[str]:
    """Names of sealed files under the home that another master key than the current one sealed."""
    unmetered = places.unmetered_directory(settings)
    for path in (places.snapshot_path(settings), *sorted(unmetered.glob("proxy-*/*"))):
        try:
            with path.open("rb") as file:
                key_id = sealed_under(file.read(64))
        except OSError:
            continue  # counted, and removed
        if key_id and key_id != ring.key_id:
            yield str(path.relative_to(settings.home))


def _report(ring: KeyRing, remaining: int, files: list[str]) -> int:
    if not remaining and not files:
        print(f"done: nothing needs another master key than {ring.key_id}; the others may be unset")
        return 0
    if remaining:
        print(f"{remaining} cannot be opened: their master key is not set, or they are damaged")
    if files:
        print(f"still sealed under an older key: {', '.join(files[:5])}: run this again in a while")
    return 1
