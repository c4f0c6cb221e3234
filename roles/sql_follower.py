"""Follows what SQL says: takes a change into the snapshot, and knows whether SQL answers at all.

Used by the control process and by what runs beside lone proxies. A server has other writers, so it
is asked every 2 s; of a file this process is the only writer, and it is asked until it answers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from admin_api.context import DependencyState
from config.errors import ConfigError
from config.settings import Settings
from policies.snapshot_age import confirm_snapshot
from storage.migrations import migrate_sql
from storage.revision import read_revision
from storage.sql_errors import SqlAwayError, naming_sql_trouble

POLL_S = 2.0

_log = logging.getLogger(__name__)


class SqlFollower:
    """`take` brings the snapshot in line with SQL and apex.yaml; it may raise ConfigError."""

    def __init__(
        self, settings: Settings, engine: AsyncEngine, take: Callable[[], Awaitable[None]]
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._take = take
        self._is_migrated = False
        self._taken: int | None = None
        self._trouble = ""
        self._has_trouble = asyncio.Event()

    @property
    def state(self) -> DependencyState:
        """What the last look saw."""
        if self._trouble:
            return DependencyState(is_ok=False, facts={"reason": self._trouble})
        return DependencyState(is_ok=True)

    async def look(self) -> None:
        """Migrate if that is to be done, take what is new. SqlAwayError; ConfigError of `take`."""
        url = self._settings.sql_url
        if not self._is_migrated:
            await migrate_sql(url)
            self._is_migrated = True
        with naming_sql_trouble(url):
            async with self._engine.connect() as connection:
                revision = await read_revision(connection)
        if revision != self._taken:
            await self._take()
            self._taken = revision
        confirm_snapshot(self._settings.home)

    async def run(self) -> None:
        """Look again and again; a store that is away is found again by itself."""
        while True:
            trouble = await self._try_to_look()
            if trouble != self._trouble:  # said when it changes, not at every look
                self._say(trouble)
            if not trouble and not self._settings.has_sql_server:
                await self._has_trouble.wait()
            self._has_trouble.clear()
            await asyncio.sleep(POLL_S)

    def note_trouble(self, error: SqlAwayError) -> None:
        """SQL was found away by another; what it then wanted is taken when SQL is back."""
        self._taken = None
        self._trouble = error.message
        self._has_trouble.set()
        _log.warning("SQL is away, the last snapshot serves: %s; %s", error.message, error.hint)

    async def _try_to_look(self) -> str:
        try:
            await self.look()
        except ConfigError as error:
            return error.message
        except (SQLAlchemyError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def _say(self, trouble: str) -> None:
        self._trouble = trouble
        if trouble:
            _log.warning("the last good snapshot stays: %s", trouble)
        else:
            _log.warning("SQL answers again, and the snapshot is what it says")
