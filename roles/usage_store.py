"""The control process's hold on the columnar store: opens it, ships into it, answers from it.

A ClickHouse server that is away is waited for; the events stay in the segment log meanwhile. The
admin API reads through this class (admin_api.context.UsageStore).
"""

import asyncio
import logging
import re

from admin_api.context import DependencyState, FreshUsage
from admin_api.errors import AdminError
from config.clock import Clock
from config.errors import ConfigError
from config.metrics import Metrics
from config.secrets import KeyRing
from config.settings import Settings
from ledger.book_shelf import BookShelf
from ledger.conservation import ConservationReport, check_conservation
from ledger.estimates import Estimator
from ledger.open_attempts import load_open_window
from ledger.rolling import Roller
from ledger.shipper import Shipper
from ledger.worker import run_worker
from roles import places
from roles.mock_bill import read_mock_bill
from storage.columnar import Columnar, ColumnarError, describe_place, open_columnar
from storage.migrations import migrate_columnar

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 10.0
PROBE_TIMEOUT_S = 2.0

# ClickHouse numbers its errors: https://github.com/ClickHouse/ClickHouse, ErrorCodes.cpp.
_SERVER_CODE = re.compile(r"\b(?:Code:|error code) ?([0-9]{1,4})\b")
_SERVER_HINTS = {
    "81": "create the database that APEX_COLUMNAR_URL names",
    "497": "grant the user of APEX_COLUMNAR_URL the rights on its database",
    "516": "correct user and password in APEX_COLUMNAR_URL",
}

_log = logging.getLogger(__name__)


class UsageStore:
    """Opened once by `open`; until then, and while the engine is away, readers get a 503."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        metrics: Metrics | None,
        key_ring: KeyRing | None = None,
        *,
        is_shipping: bool = True,
    ) -> None:
        """Without the key ring nothing is estimated: records wait until a run that has it.

        Not `is_shipping`: the segments of this home are another process's to ship, here is read.
        """
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._columnar: Columnar | None = None
        self._key_ring = key_ring
        self._is_shipping = is_shipping
        self._shipper: Shipper | None = None
        self._estimator: Estimator | None = None
        self._roller: Roller | None = None
        self._trouble = "it is being opened"
        self.opened = asyncio.Event()

    async def open(self) -> None:
        """Open and migrate the engine. ConfigError, ColumnarError."""
        settings = self._settings
        columnar = await asyncio.to_thread(open_columnar, settings.columnar_url)
        try:
            await migrate_columnar(columnar)
        except BaseException:
            await columnar.close()
            raise
        self._columnar = columnar
        if self._is_shipping:
            self._open_shipping(columnar)
        self._trouble = ""
        self.opened.set()

    def _open_shipping(self, columnar: Columnar) -> None:
        settings = self._settings
        books = BookShelf(places.price_books_directory(settings))
        segments = places.segments_directory(settings)
        self._shipper = Shipper(segments, columnar, books, self._clock, self._metrics)
        self._roller = Roller(columnar, self._clock)
        if self._key_ring is not None:
            spool = places.unmetered_directory(settings)
            shelf = BookShelf(places.price_books_directory(settings))  # of its own: another thread
            self._estimator = Estimator(
                spool, self._key_ring, columnar, shelf, self._clock, self._metrics
            )

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until `stop`; a server that is away is tried again, an embedded store is not."""
        delay_s = FIRST_RETRY_S
        while self._columnar is None and not stop.is_set():
            try:
                await self.open()
            except (ConfigError, ColumnarError) as error:
                if not self._settings.has_columnar_server:
                    raise
                self._note_trouble(describe_trouble(self._settings.columnar_url, error))
                await _wait(stop, delay_s)
                delay_s = min(delay_s * 2, LONGEST_RETRY_S)
            else:
                _log.info("the columnar store is open")
        if self._shipper is not None:
            await run_worker(self._shipper, stop, self._estimator, self._roller)
        else:
            await stop.wait()

    def _note_trouble(self, trouble: str) -> None:
        """Said when it changes, not at every try."""
        if trouble != self._trouble:
            _log.warning("usage events wait on disk: %s", trouble)
        self._trouble = trouble

    @property
    def columnar(self) -> Columnar | None:
        """The engine; None until it is open."""
        return self._columnar

    async def close(self) -> None:
        """Give the engine back."""
        if self._columnar is not None:
            await self._columnar.close()

    async def open_fresh(self) -> FreshUsage:
        """Ship what was written until now; AdminError 503 while the store is away."""
        if self._columnar is None:
            raise _away(self._trouble)
        try:
            if self._shipper is not None:
                await self._shipper.ship()
        except ColumnarError as error:
            raise self._away_after(error) from error
        segments = places.segments_directory(self._settings)
        window = await asyncio.to_thread(load_open_window, segments, self._clock)
        return FreshUsage(self._columnar, window)

    async def check_conservation(self) -> ConservationReport:
        """Ship, then compare; AdminError 503."""
        fresh = await self.open_fresh()
        bill = await asyncio.to_thread(read_mock_bill, places.mock_bill_path(self._settings))
        segments = places.segments_directory(self._settings)
        try:
            return await check_conservation(fresh.columnar, segments, bill, self._clock)
        except ColumnarError as error:
            raise self._away_after(error) from error

    async def describe(self) -> DependencyState:
        """Whether the engine answers now."""
        if self._columnar is None:
            return DependencyState(is_ok=False, facts={"reason": self._trouble})
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._columnar.query("SELECT 1")
        except TimeoutError:
            return DependencyState(is_ok=False, facts={"reason": "no answer in time"})
        except ColumnarError as error:
            reason = describe_trouble(self._settings.columnar_url, error)
            return DependencyState(is_ok=False, facts={"reason": reason})
        return DependencyState(is_ok=True)

    def _away_after(self, error: ColumnarError) -> AdminError:
        return _away(describe_trouble(self._settings.columnar_url, error))


def describe_trouble(url: str, error: Exception) -> str:
    """One sentence about a server, without the driver's own text; an embedded store's error."""
    if url.startswith("chdb://"):
        return str(error)
    server = f"the ClickHouse server at {describe_place(url)}"
    code = _SERVER_CODE.search(str(error))
    if code is None:
        return f"{server} does not answer: start it, or correct APEX_COLUMNAR_URL"
    hint = _SERVER_HINTS.get(code[1], "its own log says why")
    return f"{server} refuses with its error {code[1]}: {hint}"


def _away(reason: str) -> AdminError:
    return AdminError(
        503,
        "columnar_store_away",
        f"the columnar store cannot be asked: {reason}",
        "try again; the proxies keep serving, and no usage is lost: it waits in the segment log",
    )


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
