"""What the admin API's routes may use, handed over by roles/control.py when it builds the app."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from admin_api.key_names import ReadKeyNames
from admin_api.people.state import People
from config.clock import Clock
from config.metrics import Metrics
from config.secrets import KeyRing
from config.settings import Settings
from ledger.conservation import ConservationReport
from ledger.open_attempts import OpenWindow
from ledger.price_book import PriceBook
from policies.snapshot import Snapshot
from policies.tiers import Tiers
from storage.columnar import Columnar


@dataclass(frozen=True, slots=True)
class DependencyState:
    """One dependency as /health/ready shows it; serving goes on unless `is_fatal`."""

    is_ok: bool
    facts: dict[str, str | int | float] = field(default_factory=dict)
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class FreshUsage:
    """The store with all that was written until now, and which attempts are still under way."""

    columnar: Columnar
    open_window: OpenWindow


class UsageStore(Protocol):
    """The columnar store behind the shipper; roles/usage_store.py is it."""

    async def open_fresh(self) -> FreshUsage:
        """Ship what was written until now; AdminError 503 while the store is away."""
        ...

    async def check_conservation(self) -> ConservationReport:
        """Ship, then compare log, store and the mock's bill; AdminError 503."""
        ...


class CachePurger(Protocol):
    """The bus to the proxies; roles/bus_server.py is it."""

    async def purge(self, tenant: str | None, timeout_s: float = 2.0) -> tuple[int, int]:
        """(entries removed, proxies that answered in time)."""
        ...

    @property
    def proxies(self) -> list[dict[str, int]]:
        """The proxies connected now."""
        ...


@dataclass(frozen=True, slots=True)
class AdminContext:
    """Everything the routes read; `check_dependencies` is asked at each readiness probe."""

    settings: Settings
    token: str = field(repr=False)
    clock: Clock
    metrics: Metrics
    usage: UsageStore
    bus: CachePurger
    price_book: Callable[[], PriceBook]
    tenants: Callable[[], frozenset[str]]
    snapshot: Callable[[], Snapshot]
    key_names: ReadKeyNames
    check_dependencies: Callable[[], Awaitable[dict[str, DependencyState]]]
    sql: AsyncEngine
    people: People
    note_change: Callable[[], None]  # what is stored has changed: build the snapshot again
    key_ring: KeyRing = field(repr=False)
    tiers: Callable[[], Tiers]
    month_spend: Callable[[], Mapping[str, int]]  # pico-USD by tenant; empty until known
    announce_revoked: Callable[[str], Awaitable[None]]  # a key's id, to every proxy at once
    is_made_here: Callable[[str, str], bool]  # tenant, key id: by the API, as SQL last said
    # Changes one after the other: each adds to the end of an audit chain.
    change_lock: asyncio.Lock = field(default_factory=asyncio.Lock)


CONTEXT: web.AppKey[AdminContext] = web.AppKey("context", AdminContext)
