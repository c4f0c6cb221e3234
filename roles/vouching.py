"""The control process's word that the snapshot is how things are now; started by roles/control.py.

Given every other second while the SQL store answers and all that was changed has been built. The
proxies count from it: seconds until a key nobody knows may be a new one, a day until they close.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from roles.bus_server import BusServer

BEAT_S = 2.0
PROBE_TIMEOUT_S = 1.5


class Voucher:
    """`number` is that of the snapshot on disk, 0 while changes wait to get into it."""

    def __init__(
        self, engine: AsyncEngine, bus: BusServer, confirmed: Path, number: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._confirmed = confirmed
        self._number = number

    async def run(self) -> None:
        """Vouch until cancelled."""
        while True:
            await self.vouch()
            await asyncio.sleep(BEAT_S)

    async def vouch(self) -> bool:
        """Vouch once, if it is true; the file is for proxies that start while nobody does."""
        number = self._number()
        if not number or not await self._answers() or number != self._number():
            return False
        self._bus.announce_fresh(number)
        try:
            self._confirmed.touch()
        except OSError:
            return False
        return True

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S), self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, TimeoutError):
            return False
        return True
