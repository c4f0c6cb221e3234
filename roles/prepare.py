"""Short-lived processes: `migrate`, and `prepare`, which builds the snapshot for a lone proxy.

Both need the home to themselves; where a control process holds it, that one does their work.
"""

import argparse
import asyncio
import sys

from config.clock import Clock
from config.errors import ConfigError
from config.home import HomeLock, read_discovery
from config.log import configure_logging
from config.secrets import load_key_ring
from config.settings import Settings
from policies.snapshot_age import confirm_snapshot
from roles import places
from roles.announcing import keep_new_keys
from roles.engines import check_engines
from roles.listening import MOCK_HOST, MOCK_PORT
from roles.snapshot_keeper import KeptSnapshot, SnapshotKeeper, needs_mock
from storage.columnar import open_columnar
from storage.migrations import migrate_columnar, migrate_sql
from storage.sql import open_sql
from storage.sql_errors import SqlAwayError

WAIT_FOR_HOME_S = 10.0
POLL_S = 0.1


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The internal verb `prepare`."""
    del arguments
    configure_logging(settings.log_format, "prepare")
    check_engines(settings)
    asyncio.run(_prepare(settings))
    return 0


def run_migrate(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `migrate`."""
    del arguments
    configure_logging(settings.log_format, "migrate")
    check_engines(settings)
    with HomeLock(settings.home):
        asyncio.run(_migrate(settings))
    return 0


async def build_once(settings: Settings) -> KeptSnapshot:
    """Migrate the SQL store and bring the snapshot up to date; the caller holds the home lock.

    While SQL is away the last snapshot will do, if it is fresh. ConfigError.
    """
    places.make_directories(settings)
    engine = open_sql(settings.sql_url)
    keeper = SnapshotKeeper(
        settings, load_key_ring(settings), engine, Clock.of(settings), find_mock_url(settings)
    )
    try:
        operator = keeper.load_operator()
        if needs_mock(operator) and "mock" not in read_discovery(
            places.discovery_directory(settings)
        ):
            hint = "the mock provider is not running: start it with python main.py mock"
            print(f"note: {hint}", file=sys.stderr)
        try:
            await migrate_sql(settings.sql_url)
            kept = await keeper.refresh(operator)
        except SqlAwayError as error:
            kept = keeper.take_last(error)
            print(f"note: the last snapshot serves: {error.message}", file=sys.stderr)
        else:
            confirm_snapshot(settings.home)
        return kept
    finally:
        await engine.dispose()


def find_mock_url(settings: Settings) -> str:
    """Where a mock announced itself, else where one would listen first."""
    announced = read_discovery(places.discovery_directory(settings)).get("mock", {})
    return str(announced.get("url", f"http://{MOCK_HOST}:{MOCK_PORT}"))


async def _prepare(settings: Settings) -> None:
    """Several lone proxies may start at once: one prepares, the others wait for it."""
    deadline = Clock().monotonic() + WAIT_FOR_HOME_S
    lock = HomeLock(settings.home)
    while True:
        try:
            lock.acquire()
            break
        except ConfigError:
            if Clock().monotonic() > deadline:
                raise
            await asyncio.sleep(POLL_S)
    try:
        kept = await build_once(settings)
    finally:
        lock.release()
    show_keys(settings, kept)
    print(f"snapshot {kept.snapshot.number} is up to date")


def show_keys(settings: Settings, kept: KeptSnapshot) -> None:
    """Keys are shown where a person looks; a JSON log names the file that has them."""
    keys = [
        {"tenant": tenant, "name": name, "secret": secret} for tenant, name, secret in kept.new_keys
    ]
    if settings.log_format == "json":
        tenants = kept.snapshot.tenants
        # The demo key has a file of its own.
        keep_new_keys(settings, [key for key in keys if not tenants[key["tenant"]].is_demo])
        return
    for key in keys:
        print(f"API key of {key['tenant']}/{key['name']}: {key['secret']}")


async def _migrate(settings: Settings) -> None:
    places.make_directories(settings)
    is_ours = await migrate_sql(settings.sql_url)
    print(f"SQL store: {'up to date' if is_ours else 'of a newer version, left as it is'}")
    columnar = open_columnar(settings.columnar_url)
    try:
        applied = await migrate_columnar(columnar)
    finally:
        await columnar.close()
    print(f"columnar store: {', '.join(applied) if applied else 'up to date'}")
