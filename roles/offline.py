"""Answers questions about usage when no gateway runs; used by roles/reports.py.

Opens the columnar store under the home lock, ships what the last run left in the log, and gives
the answers of the admin API's own routes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from admin_api.errors import AdminError
from admin_api.routes.conservation import answer_conservation
from admin_api.routes.requests import answer_request
from admin_api.routes.usage import answer_usage
from config.clock import Clock
from config.errors import ConfigError
from config.home import HomeLock
from config.settings import Settings
from roles import places
from roles.engines import check_engines
from roles.usage_store import UsageStore
from storage.columnar import ColumnarError

Answer = Callable[[UsageStore], Awaitable[dict[str, Any]]]


def ask_usage(settings: Settings, query: dict[str, str]) -> dict[str, Any]:
    """As GET /admin/v1/usage. ConfigError with the route's own words."""
    return _ask(settings, lambda store: answer_usage(store, query))


def ask_request(settings: Settings, request_id: str) -> dict[str, Any]:
    """As GET /admin/v1/requests/{id}."""
    return _ask(settings, lambda store: answer_request(store, request_id))


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
    store = UsageStore(settings, Clock(), None)
    await store.open()
    try:
        return await answer(store)
    finally:
        await store.close()
