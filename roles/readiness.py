"""What the control process depends on, asked at each readiness probe; used by roles/control.py."""

import asyncio

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from admin_api.context import DependencyState
from config.metrics import Metrics
from config.settings import Settings
from roles.bus_server import BusServer
from roles.sql_follower import SqlFollower
from roles.usage_store import UsageStore

PROBE_TIMEOUT_S = 2.0
LAG_LIMIT_S = 60.0


class SqlProbe:
    """Whether SQL answers: a file is asked, of a server its follower knows, without a wait."""

    def __init__(self, settings: Settings, engine: AsyncEngine, follower: SqlFollower) -> None:
        self._is_server = settings.has_sql_server
        self._engine = engine
        self._follower = follower

    async def ask(self) -> DependencyState:
        """At most PROBE_TIMEOUT_S."""
        if self._is_server:
            return self._follower.state
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S), self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            return DependencyState(is_ok=False, facts={"reason": type(error).__name__})
        return DependencyState(is_ok=True)


class Readiness:
    """The state of each dependency; none of them stops the proxies from serving."""

    def __init__(
        self,
        expected_proxies: int,
        sql: SqlProbe,
        usage: UsageStore,
        bus: BusServer,
        metrics: Metrics,
    ) -> None:
        self._expected_proxies = expected_proxies
        self._sql = sql
        self._usage = usage
        self._bus = bus
        self._metrics = metrics

    async def check(self, snapshot: DependencyState) -> dict[str, DependencyState]:
        """Ask every dependency; takes at most the probes' time limit."""
        sql, columnar = await asyncio.gather(self._sql.ask(), self._usage.describe())
        return {
            "sql": sql,
            "columnar": columnar,
            "snapshot": snapshot,
            "bus": DependencyState(is_ok=self._bus.is_listening),
            "proxies": self._check_proxies(),
            "shipper": self._check_shipper(),
        }

    def _check_proxies(self) -> DependencyState:
        connected = len(self._bus.proxies)
        expected = self._expected_proxies
        facts: dict[str, str | int | float] = {"connected": connected, "expected": expected}
        return DependencyState(is_ok=connected >= expected, facts=facts)

    def _check_shipper(self) -> DependencyState:
        lag_s = self._metrics.totals.gauges["apex_ship_lag_seconds"].get((), 0.0)
        return DependencyState(is_ok=lag_s < LAG_LIMIT_S, facts={"lag_s": round(lag_s, 3)})
