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

from sqlalchemy.exc import SQLAlchemyError

from admin_api.app import serve_admin
from admin_api.context import AdminContext, DependencyState
from admin_api.key_names import read_key_names
from admin_api.people.state import People
from config.clock import Clock
from config.errors import ConfigError
from config.log import configure_logging
from config.metrics import Metrics, retire_dead
from config.operator import OperatorConfig
from config.secrets import load_key_ring
from config.settings import Settings
from config.tasks import TaskOwner
from ledger.price_book import PriceBook, load_price_book
from policies.audit import AuditRaceError
from policies.revocations import add_revocation
from policies.snapshot import Snapshot
from policies.tiers import Tiers, load_tiers
from roles import lifeline, places
from roles.admin_token import load_admin_token
from roles.bus_server import BusServer
from roles.last_use import LastUse
from roles.listening import adopt_socket
from roles.loop import run_on_fast_loop, stop_event_on
from roles.readiness import Readiness, SqlProbe
from roles.reporting import Reporter
from roles.snapshot_keeper import KeptSnapshot, SnapshotKeeper, needs_mock
from roles.spend_watch import SpendWatch
from roles.spent import SpentTeller
from roles.sql_follower import SqlFollower
from roles.usage_store import UsageStore
from roles.vouching import Voucher
from storage.sql import open_sql
from storage.sql_errors import SqlAwayError

METRICS_INTERVAL_S = 1.0
BURST_S = 0.05
RETRY_S = 1.0

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
        self._key_ring = key_ring = load_key_ring(settings)
        self._usage = UsageStore(
            settings, self._clock, self._metrics, key_ring, is_shipping=has_proxies
        )
        self._keeper = SnapshotKeeper(settings, key_ring, self._engine, self._clock, mock_url)
        self._people = People(settings, key_ring, self._clock)
        self._follower = SqlFollower(settings, self._engine, self._take_changes)
        self._taking = asyncio.Lock()
        self._kept: KeptSnapshot | None = None
        self._spent = SpentTeller(self._usage, self._get_snapshot, self._tasks)
        self._bus.on_hello = self._spent.greet
        self._book: PriceBook | None = None
        self._operator: OperatorConfig | None = None
        self._tiers: Tiers = {}
        self._spend = SpendWatch(lambda: self._usage.columnar, self._clock)
        self._is_behind = False  # something that was changed is in no snapshot yet
        self._is_file_new = False
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
            self._is_behind = True
            await self._publish(kept, [])
            self._follower.note_trouble(error)
        await self._bus.start()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._note_file)
        self._tasks.start(self._reload_forever(), "reload")
        confirmed = places.confirmed_path(self._settings)
        voucher = Voucher(self._engine, self._bus, confirmed, self._number_to_vouch_for)
        self._tasks.start(voucher.run(), "vouch")
        self._tasks.start(self._follower.run(), "follow SQL")
        self._tasks.start(self._flush_metrics_forever(), "metrics")

    async def run(self, opened: socket.socket, stop: asyncio.Event) -> None:
        """Answer the admin API and ship usage until `stop`; returns after the last shipment."""
        async with serve_admin(self._build_context(), opened):
            self._tasks.start(self._report_ready(), "report ready")
            last_use = LastUse(self._engine, lambda: self._usage.columnar, self._clock)
            self._tasks.start(last_use.run(), "last use")
            self._tasks.start(self._spend.run(), "spend")
            await self._usage.run(stop)

    async def close(self) -> None:
        """Give everything back."""
        await self._bus.stop()
        await self._tasks.stop()
        await self._usage.close()
        await self._engine.dispose()
        self._metrics.flush()

    async def _take_changes(self) -> None:
        """What SQL says now; the file is read again only when somebody asks for it."""
        self._is_behind = True  # until it is taken nobody vouches for what is on disk
        await self._take_configuration(reads_file=self._operator is None)
        self._is_behind = False

    async def _take_configuration(self, *, reads_file: bool = True) -> None:
        """Bring snapshot and price book in line with apex.yaml and SQL, and tell everyone."""
        async with self._taking:
            operator = self._operator
            if operator is None or reads_file:
                operator = await asyncio.to_thread(self._keeper.load_operator)
            self._people.check(operator.identity)
            self._report_operator(needs_mock(operator), operator.limits.drain_s)
            kept = await self._keeper.refresh(operator)
            self._operator, self._tiers = operator, load_tiers(operator.tiers)
            self._people.take(operator.identity)
            await self._publish(kept, list(operator.models))

    def _report_operator(self, needs: bool, drain_s: float) -> None:
        self._reporter.report("operator", needs_mock=needs, drain_s=drain_s)

    async def _publish(self, kept: KeptSnapshot, declared_models: list[str]) -> None:
        snapshot = kept.snapshot
        books = places.price_books_directory(self._settings)
        if self._book is None or self._book.hash != snapshot.price_book:
            path = books / f"{snapshot.price_book}.json"
            self._book = await asyncio.to_thread(load_price_book, path)
        self._kept = kept
        self._metrics.gauge("apex_snapshot_number", snapshot.number)
        self._bus.announce_snapshot(snapshot.number)
        self._spent.note_snapshot(self._clock.now(), self._bus.announce)
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
        """A bad file changes nothing: the last good one stays, with what the API changed."""
        while True:
            await self._reload_wanted.wait()
            await asyncio.sleep(BURST_S)  # changes that come together are built together
            self._reload_wanted.clear()
            reads_file, self._is_file_new = self._is_file_new, False
            self._is_behind = not await self._try_to_take(reads_file=reads_file)

    async def _try_to_take(self, *, reads_file: bool) -> bool:
        try:
            await self._take_configuration(reads_file=reads_file)
        except SqlAwayError as error:
            self._wait_for_sql(error.message, reads_file=reads_file)
            self._follower.note_trouble(error)
            return False
        except (ConfigError, OSError) as error:
            _log.error("apex.yaml was not taken, the last good one stays: %s", error)
            if reads_file:  # the API's changes do not wait for a better file
                self._reload_wanted.set()
                return True
            return False
        except (SQLAlchemyError, AuditRaceError) as error:
            self._wait_for_sql(type(error).__name__, reads_file=reads_file)
            return False
        assert self._kept is not None
        number = self._kept.snapshot.number
        news = "new" if self._kept.is_new else "unchanged"
        what = "apex.yaml read again" if reads_file else "changes taken in"
        _log.info("%s: snapshot %d, %s", what, number, news)
        return True

    def _wait_for_sql(self, trouble: str, *, reads_file: bool) -> None:
        _log.error("the snapshot waits for the SQL store: %s", trouble)
        self._is_file_new = self._is_file_new or reads_file
        asyncio.get_running_loop().call_later(RETRY_S, self._reload_wanted.set)

    def _note_file(self) -> None:
        self._is_file_new = True
        self._reload_wanted.set()

    def _number_to_vouch_for(self) -> int:
        return 0 if self._is_behind or self._kept is None else self._kept.snapshot.number

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
            sql=self._engine,
            people=self._people,
            note_change=self._reload_wanted.set,
            key_ring=self._key_ring,
            tiers=lambda: self._tiers,
            month_spend=lambda: self._spend.spent,
            announce_revoked=self._announce_revoked,
            is_made_here=self._keeper.is_made_by_api,
        )

    async def _announce_revoked(self, key_id: str) -> None:
        """On disk first: a proxy that starts right now has to know it, too."""
        path, now = places.revocations_path(self._settings), self._clock.now()
        await asyncio.to_thread(add_revocation, path, self._key_ring, key_id, now)
        self._bus.announce_revoked(key_id)

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
