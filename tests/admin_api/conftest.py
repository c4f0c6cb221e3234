"""The admin application on a socket, with real parts around it: bus, stores, price book.

The columnar store stays closed here, which is a state of its own; what it answers when it is open
is tested over the whole gateway in test_app.py.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy.ext.asyncio import AsyncEngine

from admin_api.app import build_admin_app
from admin_api.context import AdminContext, DependencyState
from admin_api.people.state import People
from config.clock import Clock
from config.metrics import Metrics
from config.secrets import KeyRing, load_key_ring
from config.settings import Settings, load_settings
from ledger.price_book import load_price_book
from policies.snapshot import Target
from policies.tiers import load_tiers
from roles.bus_server import BusServer
from roles.usage_store import UsageStore
from storage.migrations import migrate_sql
from storage.sql import open_sql
from tests.policies.samples import UPSTREAM, make_snapshot

LOCAL = replace(UPSTREAM, name="local", base_url="http://127.0.0.1:9/v1", allow_private=True)
UPSTREAMS = {"openai": UPSTREAM, "local": LOCAL}
MODELS = {"house": (Target("openai", "gpt-4o-mini"), Target("local", "llama"))}
TOKEN = "an-admin-token-of-more-than-thirty-two-characters"


class MovedClock(Clock):
    """The real time, and as much later as a test wants it; what lasts stands still meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.later_s = 0.0
        self._made_at = super().monotonic()

    def now(self) -> float:
        return super().now() + self.later_s

    def now_us(self) -> int:
        return super().now_us() + round(self.later_s * 1_000_000)

    def monotonic(self) -> float:
        return self._made_at + self.later_s


@dataclass(slots=True)
class Admin:
    """A served admin application and what it was built from."""

    url: str
    bus: BusServer
    states: dict[str, DependencyState]
    sql: AsyncEngine
    context: AdminContext
    changes: asyncio.Event  # set by whatever changes what is stored
    revoked: list[str]  # ids of keys, as they were announced to the proxies
    key_ring: KeyRing
    clock: MovedClock

    @property
    def people(self) -> People:
        return self.context.people

    async def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None, **options: Any
    ) -> tuple[int, Any]:
        """(status, document or text); the token is sent unless `headers` are given."""
        given = {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{path}", headers=given, **options) as reply,
        ):
            is_json = reply.content_type in {"application/json", "application/problem+json"}
            return reply.status, await reply.json(content_type=None) if is_json else (
                await reply.text()
            )

    async def ask_bytes(self, path: str, method: str = "GET", **options: Any) -> tuple[int, bytes]:
        """(status, body as it came)."""
        given = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{path}", headers=given, **options) as reply,
        ):
            return reply.status, await reply.read()


OpenAdmin = Callable[..., Awaitable[Admin]]


async def no_names() -> dict[str, str]:
    return {}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, to be copied: migrating takes as long as most tests here."""
    path = tmp_path_factory.mktemp("sql") / "apex.db"
    with asyncio.Runner() as runner:
        runner.run(migrate_sql(f"sqlite+aiosqlite:///{path}"))
    return path


def place_database(migrated: Path, settings: Settings) -> None:
    """Where a home has none yet."""
    database = settings.home / "apex.db"
    if not database.exists():
        shutil.copyfile(migrated, database)


@pytest.fixture
async def open_admin(tmp_path: Path, migrated: Path) -> AsyncIterator[OpenAdmin]:
    """Opens an admin application; the environment given is added to a plain one."""
    servers: list[TestServer] = []
    buses: list[BusServer] = []
    engines: list[AsyncEngine] = []

    async def open_one(**environ: str) -> Admin:
        settings = load_settings({"APEX_HOME": str(tmp_path / "home"), **environ})
        clock = MovedClock()
        metrics = Metrics(settings.home / "run" / "metrics", "control")
        bus = BusServer(settings.home / "run" / "bus.sock")
        await bus.start()
        buses.append(bus)
        place_database(migrated, settings)
        engine = open_sql(settings.sql_url)
        engines.append(engine)
        changes = asyncio.Event()
        revoked: list[str] = []
        states = {"sql": DependencyState(is_ok=True)}

        async def check_dependencies() -> dict[str, DependencyState]:
            return states

        async def note_revoked(key_id: str) -> None:
            revoked.append(key_id)

        context = AdminContext(
            settings=settings,
            token=TOKEN,
            clock=clock,
            metrics=metrics,
            usage=UsageStore(settings, clock, metrics),
            bus=bus,
            price_book=load_price_book,
            tenants=lambda: frozenset({"acme", "globex"}),
            snapshot=lambda: make_snapshot(upstreams=UPSTREAMS, models=MODELS),
            key_names=no_names,
            check_dependencies=check_dependencies,
            sql=engine,
            people=People(settings, load_key_ring(settings), clock),
            note_change=changes.set,
            key_ring=load_key_ring(settings),
            tiers=lambda: load_tiers({}),
            month_spend=lambda: {"acme": 150 * 10**12},
            announce_revoked=note_revoked,
            is_made_here=lambda tenant, key_id: (tenant, key_id) == ("acme", "made2day"),
        )
        server = TestServer(build_admin_app(context))
        await server.start_server(access_log=None)  # as roles/control.py serves it
        servers.append(server)
        url = str(server.make_url("")).rstrip("/")
        return Admin(url, bus, states, engine, context, changes, revoked, context.key_ring, clock)

    yield open_one
    for server in servers:
        await server.close()
    for bus in buses:
        await bus.stop()
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def admin(open_admin: OpenAdmin) -> Admin:
    return await open_admin()
