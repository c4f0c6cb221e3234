"""What each tenant has spent this month, asked for once an hour; started by roles/control.py.

It suggests tiers, and nothing is enforced by it: budgets have counters of their own.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from config.clock import Clock
from ledger.spend import read_spend
from storage.columnar import Columnar, ColumnarError

INTERVAL_S = 3600.0
RETRY_S = 30.0

_log = logging.getLogger(__name__)


class SpendWatch:
    """`spent` is in pico-USD by tenant, since the first of the month in UTC; empty until known."""

    def __init__(self, columnar: Callable[[], Columnar | None], clock: Clock) -> None:
        self._columnar = columnar
        self._clock = clock
        self.spent: Mapping[str, int] = {}

    async def run(self) -> None:
        """Look until cancelled; a store that is away is asked again soon."""
        while True:
            pause_s = RETRY_S
            try:
                pause_s = INTERVAL_S if await self.look() else RETRY_S
            except ColumnarError as error:
                _log.debug("the month's spend is looked at later: %s", type(error).__name__)
            await asyncio.sleep(pause_s)

    async def look(self) -> bool:
        """Ask once; False while the store is not open. ColumnarError."""
        columnar = self._columnar()
        if columnar is None:
            return False
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        month = datetime(now.year, now.month, 1, tzinfo=UTC)
        self.spent = await read_spend(columnar, int(month.timestamp()) * 1_000_000)
        return True
