"""Builds the snapshot from apex.yaml, the shipped policies, the price book and the stored keys.

Called by the control process at start and whenever one of them changes; never by a proxy.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.operator_model import KeyConfig, OperatorConfig, TenantConfig
from config.prices.document import BOOK_PATH, read_document
from config.secrets import KeptKeys, KeyRing
from config.settings import Settings
from ledger.price_book import PriceBook
from policies.audit import AuditEntry, append_audit
from policies.catalogue import build_models, build_upstreams, write_effective_book
from policies.declared_limits import limits_of, stored_limits
from policies.demo import DEMO_NAME, DEMO_POLICY, load_demo_key
from policies.kept_keys import find_kept_keys
from policies.model import Policy
from policies.reconciling import Reconciler
from policies.records import KeySelection, Known, project_records, tenant_record
from policies.snapshot import Snapshot, TenantRecord, index_by_hmac
from policies.stored_catalogue import StoredCatalogue, join, read_stored, record_operator
from policies.stored_state import Row, StateReader, StoredState, write_state
from policies.versions import load_policy
from storage.tables import BY_API

DEFAULT_POLICY = "balanced"  # of tenants that the admin API made
PRICE_BOOKS_DIRECTORY = "price-books"


@dataclass(slots=True)
class BuildMemory:
    """What one build leaves to the next, so that a change costs what it changes."""

    reader: StateReader = field(default_factory=StateReader, repr=False)
    records: Known = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SnapshotSources:
    """What a snapshot is made of, beside SQL; `price_book_path` is the book without overrides."""

    settings: Settings
    operator: OperatorConfig
    key_ring: KeyRing
    revoked: Mapping[str, float] = field(default_factory=dict)  # key id: when, Unix seconds
    price_book_path: Path = BOOK_PATH
    memory: BuildMemory = field(default_factory=BuildMemory)


@dataclass(frozen=True, slots=True)
class BuiltSnapshot:
    """A snapshot, and the secrets to print: keys made just now, and the demo key every time."""

    snapshot: Snapshot
    new_keys: list[tuple[str, str, str]] = field(repr=False)  # (tenant, key name, secret)


async def build_snapshot(
    sources: SnapshotSources, sql_engine: AsyncEngine, number: int, clock: Clock
) -> BuiltSnapshot:
    """The snapshot of this number; makes missing keys and the price book's file on the way.

    Raises ConfigError for what apex.yaml gets wrong about tenants, policies, keys or prices.
    """
    async with sql_engine.begin() as connection:
        await record_operator(connection, sources.operator, clock.now())
        catalogue = await read_stored(connection, sources.key_ring)
        kept = await find_kept_keys(connection, sources.key_ring)
    assembly = _Assembly(sources, catalogue, kept, clock.now())
    # A megabyte of prices, ten thousand keys: off the loop, which serves the admin API.
    book = await asyncio.to_thread(assembly.make_price_book)
    async with sql_engine.begin() as connection:
        stored = await sources.memory.reader.read(connection)
        reconciler = await asyncio.to_thread(assembly.reconcile, stored)
        await write_state(connection, reconciler.writes)
        for row in reconciler.late_revocations:
            await append_audit(connection, _late_revocation(row), clock.now())
    snapshot = await asyncio.to_thread(assembly.assemble, stored, reconciler, number, book)
    return BuiltSnapshot(snapshot, new_keys=[*assembly.demo_keys, *reconciler.new_secrets])


def _late_revocation(row: Row) -> AuditEntry:
    """What the admin API could not write down when it revoked a key without a SQL store."""
    subject = f"tenants/{row['tenant']}/keys/{row['key_id']}"
    before, after = {"state": "active"}, {"state": "revoked"}
    why = "revoked while the SQL store was away"
    return AuditEntry(row["tenant"], "gateway", "key.revoke", subject, before, after, why)


class _Assembly:
    """What apex.yaml and SQL say together, at one moment."""

    def __init__(
        self, sources: SnapshotSources, catalogue: StoredCatalogue, kept: KeptKeys, now: float
    ) -> None:
        self._sources = sources
        self._catalogue = catalogue
        self._kept = kept
        self._key_ring = sources.key_ring.with_kept(kept)
        self._operator = join(sources.operator, catalogue)
        self._now = now
        self._declared = _declared_tenants(sources.settings, sources.operator)
        is_demo = DEMO_NAME in self._declared and DEMO_NAME not in sources.operator.tenants
        secret = self._declared[DEMO_NAME].keys[0].secret if is_demo else None
        self.demo_keys = [(DEMO_NAME, DEMO_NAME, secret)] if secret is not None else []

    def reconcile(self, stored: StoredState) -> Reconciler:
        """What has to be written for SQL to say what the file says."""
        reconciler = Reconciler(stored, self._key_ring, self._now)
        reconciler.take(self._declared)
        reconciler.revoke(self._sources.revoked)
        return reconciler

    def assemble(
        self, stored: StoredState, reconciler: Reconciler, number: int, book: PriceBook
    ) -> Snapshot:
        operator = self._operator
        policies = {name: _policy_of(name, tenant) for name, tenant in self._declared.items()}
        made = {name: row for name, row in stored.tenants.items() if _is_open_of_api(row)}
        if made:
            default = load_policy(DEFAULT_POLICY)
            policies |= dict.fromkeys(made, default)
        tenants = {
            name: self._tenant_record(name, made.get(name), policies[name].revision)
            for name in sorted(policies)
        }
        rows = [*_declared_projects(self._declared), *_of_api(stored.projects.values())]
        projects = project_records(rows, tenants)
        known = self._sources.memory.records
        keys = KeySelection(tenants, projects, self._key_ring, self._now, known).records(
            [*reconciler.keys.values(), *self._made_keys(stored)]
        )
        return Snapshot(
            number=number,
            built_at=self._now,
            environment=self._sources.settings.environment,
            upstreams=build_upstreams(operator),
            default_upstream=operator.default_upstream,
            models=build_models(operator, book),
            keys_by_id=keys,
            keys_by_hmac=index_by_hmac(keys),
            tenants=tenants,
            projects=projects,
            policies={policy.revision: policy for policy in policies.values()},
            timeouts=operator.timeouts,
            limits=operator.limits,
            cache=operator.cache,
            price_book=book.hash,
            estimates=operator.estimates,
            pepper_id=self._key_ring.key_id,
            kept_keys=self._kept,
            credentials=self._catalogue.credentials,
            own_upstreams=self._catalogue.own_upstreams,
        )

    def _made_keys(self, stored: StoredState) -> list[Row]:
        rows = _of_api(stored.keys.values())
        return [row for row in rows if row["key_id"] not in self._sources.revoked]

    def make_price_book(self) -> PriceBook:
        """The shipped book with the operator's own prices, kept as a file."""
        base = read_document(self._sources.price_book_path)
        directory = self._sources.settings.home / PRICE_BOOKS_DIRECTORY
        return write_effective_book(self._operator, base, directory, self._catalogue.prices)

    def _tenant_record(self, name: str, row: Row | None, revision: str) -> TenantRecord:
        if row is not None:
            return tenant_record(row, revision, is_demo=False)
        declared = self._declared[name]
        is_demo = name not in self._sources.operator.tenants
        limits = limits_of(declared.limits)
        return TenantRecord(name, revision, None, is_demo, declared.time_zone, limits)


def _is_open_of_api(row: Row) -> bool:
    return bool(row["managed_by"] == BY_API and row["archived_at"] is None)


def _of_api(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["managed_by"] == BY_API]


def _declared_projects(declared: dict[str, TenantConfig]) -> list[Row]:
    return [
        {"tenant": tenant, "name": name, "tags": dict(each.tags), "archived_at": None,
         "limits": stored_limits(each.limits)}
        for tenant, config in declared.items()
        for name, each in config.projects.items()
    ]  # fmt: skip


def _declared_tenants(settings: Settings, operator: OperatorConfig) -> dict[str, TenantConfig]:
    """Those of the file; in development without any a demo. Others come over the admin API."""
    if operator.tenants or settings.environment != "development":
        return dict(operator.tenants)
    secret = load_demo_key(settings.home)
    key = KeyConfig(name=DEMO_NAME, secret=secret)
    return {DEMO_NAME: TenantConfig(keys=(key,), policy=DEMO_POLICY)}


def _policy_of(tenant: str, declared: TenantConfig) -> Policy:
    """Checked by policies.declared already, which knows its lines; ConfigError all the same."""
    source = declared.policy
    # A policy written inline needs no name of its own: the tenant's serves in its revision.
    return load_policy(source if isinstance(source, str) else {"name": tenant, **source})
