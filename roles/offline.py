"""Answers questions about usage when no gateway runs; used by roles/reports.py.

Opens the columnar store under the home lock, ships what the last run left in the log, and gives
the answers of the admin API's own routes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from admin_api.calls import parse
from admin_api.errors import AdminError
from admin_api.key_names import KeyNames, read_key_names
from admin_api.routes.conservation import answer_conservation
from admin_api.routes.requests import answer_request
from admin_api.routes.usage import UsageQuery, answer_usage
from config.clock import Clock
from config.errors import ConfigError
from config.home import HomeLock
from config.secrets import load_key_ring
from config.settings import Settings
from policies.snapshot import Snapshot, read_snapshot_file
from roles import places
from roles.engines import check_engines
from roles.usage_store import UsageStore
from storage.columnar import ColumnarError
from storage.sql import open_sql

_log = logging.getLogger(__name__)

Answer = Callable[[UsageStore], Awaitable[dict[str, Any]]]


def ask_usage(settings: Settings, query: dict[str, str]) -> dict[str, Any]:
    """As GET /admin/v1/usage. ConfigError with the route's own words."""
    key_names = partial(_read_key_names, settings)
    return _ask(settings, lambda store: answer_usage(store, key_names, _parse_usage(query)))


def _parse_usage(query: dict[str, str]) -> UsageQuery:
    asked = parse(UsageQuery, query, "query")
    assert isinstance(asked, UsageQuery)
    return asked


def ask_request(settings: Settings, request_id: str) -> dict[str, Any]:
    """As GET /admin/v1/requests/{id}."""
    key_names = partial(_read_key_names, settings)
    return _ask(settings, lambda store: answer_request(store, key_names, request_id))


def ask_conservation(settings: Settings) -> dict[str, Any]:
    """As GET /admin/v1/conservation."""
    return _ask(settings, answer_conservation)


def _ask(settings: Settings, answer: Answer) -> dict[str, Any]:
    check_engines(settings)
    if not settings.home.exists():
        raise ConfigError(
            f"there is no gateway in {settings.home}",
            "start one with python main.py all, or name its directory in APEX_HOME",
        )
    with HomeLock(settings.home):
        places.make_directories(settings)
        try:
            return asyncio.run(_open_and_ask(settings, answer))
        except AdminError as error:
            raise ConfigError(error.message, error.hint) from error
        except ColumnarError as error:
            raise ConfigError(
                f"the columnar store refused: {error}", "python main.py migrate shows more"
            ) from error


async def _open_and_ask(settings: Settings, answer: Answer) -> dict[str, Any]:
    store = UsageStore(settings, Clock.of(settings), None)
    await store.open()
    try:
        return await answer(store)
    finally:
        await store.close()


async def _read_key_names(settings: Settings) -> KeyNames:
    """None before the first snapshot: until then there is no key and no SQL store."""
    if not places.snapshot_path(settings).exists():
        return {}
    engine = open_sql(settings.sql_url)
    try:
        return await read_key_names(engine, _read_snapshot(settings))
    finally:
        await engine.dispose()


def _read_snapshot(settings: Settings) -> Snapshot | None:
    """Another master key than the gateway's costs the names of declared keys, not the report."""
    try:
        return read_snapshot_file(places.snapshot_path(settings), load_key_ring(settings))
    except ConfigError as error:
        _log.warning("the names of declared keys cannot be read: %s", error.message)
        return None
