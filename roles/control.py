"""The control process: sole owner of the SQL and the columnar store, started by the supervisor.

It builds the snapshot first, so that proxies can start, and only then opens the columnar store;
after that it ships usage, answers the admin API and reads apex.yaml again on SIGHUP.
"""

import argparse
import asyncio
import itertools
import logging
import signal
import socket

from admin_api.app import serve_admin
from admin_api.context import AdminContext, DependencyState
from admin_api.key_names import read_key_names
from config.clock import Clock
from config.errors import ConfigError
from config.log import configure_logging
from config.metrics import Metrics, retire_dead
from config.secrets import load_key_ring
from config.settings import Settings
from config.tasks import TaskOwner
from ledger.price_book import PriceBook, load_price_book
from policies.snapshot import Snapshot
from roles import lifeline, places
from roles.admin_token import load_admin_token
from roles.bus_server import BusServer
from roles.listening import adopt_socket
from roles.loop import run_on_fast_loop, stop_event_on
from roles.readiness import Readiness, SqlProbe
from roles.reporting import Reporter
from roles.snapshot_keeper import KeptSnapshot, SnapshotKeeper, needs_mock
from roles.sql_follower import SqlFollower
from roles.usage_store import UsageStore
from storage.sql import open_sql
from storage.sql_errors import SqlAwayError

METRICS_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The internal verb `control`; the supervisor says a refusal aloud."""
    lifeline.follow_parent(arguments.lifeline_fd)
    lifeline.ignore_terminal_signals()
    configure_logging(settings.log_format, "control")
    reporter = Reporter(arguments.report_fd)
    try:
        run_on_fast_loop(_serve(settings, adopt_socket(arguments.fd), arguments.mock_url, reporter))
    except ConfigError as error:
        reporter.report("refused", message=error.message, hint=error.hint)
        return 2
    return 0


async def _serve(
    settings: Settings, opened: socket.socket, mock_url: str, reporter: Reporter
) -> None:
    stop = stop_event_on(signal.SIGTERM)
    control = ControlProcess(settings, mock_url, reporter)
    try:
        await control.start()
        await control.run(opened, stop)
    finally:
        await control.close()


class ControlProcess:
    """Everything the control process owns, and the order in which it comes up."""

    def __init__(
        self, settings: Settings, mock_url: str, reporter: Reporter, *, has_proxies: bool = True
    ) -> None:
        """`has_proxies`: this host's, whose segments are shipped here; False for `admin` alone."""
        self._settings = settings
        self._has_proxies = has_proxies
        self._reporter = reporter
        self._clock = Clock.of(settings)
        self._tasks = TaskOwner()
        self._metrics = Metrics(places.metrics_directory(settings), "control")
        self._engine = open_sql(settings.sql_url)
        self._bus = BusServer(places.bus_path(settings))
        key_ring = load_key_ring(settings)
        self._usage = UsageStore(
            settings, self._clock, self._metrics, key_ring, is_shipping=has_proxies
        )
        self._keeper = SnapshotKeeper(settings, key_ring, self._engine, self._clock, mock_url)
        self._follower = SqlFollower(settings, self._engine, self._take_configuration)
        self._taking = asyncio.Lock()
        self._kept: KeptSnapshot | None = None
        self._book: PriceBook | None = None
        self._reload_wanted = asyncio.Event()

    async def start(self) -> None:
        """SQL store, snapshot, bus: what the proxies need. ConfigError refuses the start.

        Without SQL the last snapshot serves, if it is fresh; its news are taken when SQL is back.
        """
        try:
            await self._follower.look()
        except SqlAwayError as error:
            kept = self._keeper.take_last(error)
            self._report_operator(needs_mock(kept.snapshot), kept.snapshot.limits.drain_s)
            self._publish(kept, [])
            self._follower.note_trouble(error)
        await self._bus.start()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        self._tasks.start(self._reload_forever(), "reload")
        self._tasks.start(self._follower.run(), "follow SQL")
        self._tasks.start(self._flush_metrics_forever(), "metrics")

    async def run(self, opened: socket.socket, stop: asyncio.Event) -> None:
        """Answer the admin API and ship usage until `stop`; returns after the last shipment."""
        async with serve_admin(self._build_context(), opened):
            self._tasks.start(self._report_ready(), "report ready")
            await self._usage.run(stop)

    async def close(self) -> None:
        """Give everything back."""
        await self._bus.stop()
        await self._tasks.stop()
        await self._usage.close()
        await self._engine.dispose()
        self._metrics.flush()

    async def _take_configuration(self) -> None:
        """Bring snapshot and price book in line with apex.yaml and SQL, and tell everyone."""
        async with self._taking:
            operator = self._keeper.load_operator()
            self._report_operator(needs_mock(operator), operator.limits.drain_s)
            self._publish(await self._keeper.refresh(operator), list(operator.models))

    def _report_operator(self, needs: bool, drain_s: float) -> None:
        self._reporter.report("operator", needs_mock=needs, drain_s=drain_s)

    def _publish(self, kept: KeptSnapshot, declared_models: list[str]) -> None:
        snapshot = kept.snapshot
        books = places.price_books_directory(self._settings)
        self._book = load_price_book(books / f"{snapshot.price_book}.json")
        self._kept = kept
        self._metrics.gauge("apex_snapshot_number", snapshot.number)
        self._bus.announce_snapshot(snapshot.number)
        self._reporter.report(
            "snapshot",
            number=snapshot.number,
            default_upstream=snapshot.default_upstream,
            upstreams={name: each.kind for name, each in snapshot.upstreams.items()},
            models=declared_models,
            tenants=list(snapshot.tenants),
            has_demo=any(tenant.is_demo for tenant in snapshot.tenants.values()),
            new_keys=[
                {"tenant": tenant, "name": name, "secret": secret}
                for tenant, name, secret in kept.new_keys
            ],
        )

    async def _reload_forever(self) -> None:
        """A bad file changes nothing: the last good snapshot stays."""
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                await self._take_configuration()
            except SqlAwayError as error:
                self._follower.note_trouble(error)
            except (ConfigError, OSError) as error:
                _log.error("apex.yaml was not taken, the last good one stays: %s", error)
            else:
                assert self._kept is not None
                number = self._kept.snapshot.number
                news = "new" if self._kept.is_new else "unchanged"
                _log.info("apex.yaml read again: snapshot %d, %s", number, news)

    async def _report_ready(self) -> None:
        """Ready when the columnar store is: until then usage cannot be asked for."""
        if not self._settings.has_columnar_server:
            await self._usage.opened.wait()
        self._reporter.report("ready")

    async def _flush_metrics_forever(self) -> None:
        directory = places.metrics_directory(self._settings)
        for second in itertools.count():
            self._metrics.flush()
            if second % 60 == 0:
                await asyncio.to_thread(retire_dead, directory)
            await asyncio.sleep(METRICS_INTERVAL_S)

    def _build_context(self) -> AdminContext:
        readiness = Readiness(
            self._settings.workers if self._has_proxies else 0,
            SqlProbe(self._settings, self._engine, self._follower),
            self._usage,
            self._bus,
            self._metrics,
        )
        return AdminContext(
            settings=self._settings,
            token=load_admin_token(self._settings),
            clock=self._clock,
            metrics=self._metrics,
            usage=self._usage,
            bus=self._bus,
            price_book=self._get_book,
            tenants=self._list_tenants,
            snapshot=self._get_snapshot,
            key_names=lambda: read_key_names(self._engine, self._get_snapshot()),
            check_dependencies=lambda: readiness.check(self._describe_snapshot()),
        )

    def _get_book(self) -> PriceBook:
        assert self._book is not None
        return self._book

    def _get_snapshot(self) -> Snapshot:
        assert self._kept is not None
        return self._kept.snapshot

    def _list_tenants(self) -> frozenset[str]:
        return frozenset(self._get_snapshot().tenants)

    def _describe_snapshot(self) -> DependencyState:
        snapshot = self._get_snapshot()
        age_s = round(self._clock.now() - snapshot.built_at, 1)
        return DependencyState(is_ok=True, facts={"number": snapshot.number, "age_s": age_s})
