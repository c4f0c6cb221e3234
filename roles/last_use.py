"""Notes in SQL when each API key was last used, once a minute; started by roles/control.py.

From the usage events, so that no request pays for it. It changes no key's version: nothing of it is
in a snapshot, and whoever edits a key at the same time is not disturbed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from ledger.last_use import read_last_use
from storage.columnar import Columnar, ColumnarError
from storage.tables import api_keys

INTERVAL_S = 60.0
FIRST_WINDOW = timedelta(days=30)
LATE = timedelta(minutes=10)  # so long after its time an event may be shipped and still be seen

_log = logging.getLogger(__name__)


class LastUse:
    """`columnar` is None while the store is not open."""

    def __init__(
        self, engine: AsyncEngine, columnar: Callable[[], Columnar | None], clock: Clock
    ) -> None:
        self._engine = engine
        self._columnar = columnar
        self._since = datetime.fromtimestamp(clock.now(), UTC) - FIRST_WINDOW

    async def run(self) -> None:
        """Note until cancelled; a store that is away is asked again the next time."""
        while True:
            try:
                await self.note()
            except (ColumnarError, SQLAlchemyError, OSError) as error:
                _log.debug("the last use of keys is noted later: %s", type(error).__name__)
            await asyncio.sleep(INTERVAL_S)

    async def note(self) -> int:
        """Note what is new; how many keys that were. ColumnarError, SQLAlchemyError."""
        columnar = self._columnar()
        if columnar is None:
            return 0
        found = await read_last_use(columnar, round(self._since.timestamp() * 1_000_000))
        moments = {
            key_id: datetime.fromtimestamp(last_us / 1_000_000, UTC)
            for key_id, last_us in found.items()
        }
        noted = await self._write(moments)
        if moments:
            self._since = max(self._since, max(moments.values()) - LATE)
        return noted

    async def _write(self, moments: Mapping[str, datetime]) -> int:
        async with self._engine.begin() as connection:
            query = sa.select(api_keys.c.key_id, api_keys.c.last_used_at)
            held = {row[0]: row[1] for row in await connection.execute(query)}
            rows = [
                {"of": key_id, "moment": moment}
                for key_id, moment in moments.items()
                if key_id in held and _is_later(moment, held[key_id])
            ]
            if rows:
                statement = (
                    sa.update(api_keys)
                    .where(api_keys.c.key_id == sa.bindparam("of"))
                    .values(last_used_at=sa.bindparam("moment"))
                )
                await connection.execute(statement, rows)
        return len(rows)


def _is_later(moment: datetime, held: datetime | None) -> bool:
    """SQLite gives moments without the zone they were stored in."""
    if held is None:
        return True
    return moment > (held if held.tzinfo else held.replace(tzinfo=UTC))
