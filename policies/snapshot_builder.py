"""Builds the snapshot from apex.yaml, the shipped policies, the price book and the stored keys.

Called by the control process at start and whenever one of them changes; never by a proxy.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.errors import ConfigError
from config.operator_model import KeyConfig, OperatorConfig, TenantConfig
from config.prices.document import BOOK_PATH, read_document
from config.secrets import KeyRing
from config.settings import Settings
from ledger.price_book import PriceBook
from policies.catalogue import build_models, build_upstreams, write_effective_book
from policies.demo import DEMO_NAME, DEMO_POLICY, load_demo_key
from policies.kept_keys import read_kept_keys
from policies.key_collecting import KeyCollector
from policies.key_store import add_tenants
from policies.model import Policy
from policies.snapshot import Snapshot, TenantRecord, index_by_hmac
from policies.stored_catalogue import StoredCatalogue, join, read_stored, record_operator
from policies.versions import load_policy

PRICE_BOOKS_DIRECTORY = "price-books"


@dataclass(frozen=True, slots=True)
class SnapshotSources:
    """What a snapshot is made of, beside SQL; `price_book_path` is the book without overrides."""

    settings: Settings
    operator: OperatorConfig
    key_ring: KeyRing
    price_book_path: Path = BOOK_PATH


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
    settings, operator = sources.settings, sources.operator
    tenants = _declared_tenants(settings, operator)
    async with sql_engine.begin() as connection:
        await record_operator(connection, operator, clock.now())
        stored = await read_stored(connection, sources.key_ring)
        kept = await read_kept_keys(connection, sources.key_ring)
    key_ring = sources.key_ring.with_kept(kept)
    operator = join(operator, stored)
    # A megabyte of JSON is parsed and written: off the loop, which serves the admin API.
    book = await asyncio.to_thread(_make_price_book, sources, operator, stored)
    models = build_models(operator, book)
    policies = {name: _policy_of(name, tenant) for name, tenant in tenants.items()}
    keys = KeyCollector(key_ring, clock)
    if not operator.tenants:
        keys.to_print.append((DEMO_NAME, DEMO_NAME, load_demo_key(settings.home)))
    async with sql_engine.begin() as connection:
        await add_tenants(connection, tenants, clock)
        for name, tenant in tenants.items():
            for key in tenant.keys:
                await keys.add(connection, name, key)
    snapshot = Snapshot(
        number=number,
        built_at=clock.now(),
        environment=settings.environment,
        upstreams=build_upstreams(operator),
        default_upstream=operator.default_upstream,
        models=models,
        keys_by_id=keys.by_id,
        keys_by_hmac=index_by_hmac(keys.by_id),
        tenants=_tenant_records(operator, policies),
        policies={policy.revision: policy for policy in policies.values()},
        timeouts=operator.timeouts,
        limits=operator.limits,
        cache=operator.cache,
        price_book=book.hash,
        estimates=operator.estimates,
        pepper_id=key_ring.key_id,
        kept_keys=kept,
        credentials=stored.credentials,
        own_upstreams=stored.own_upstreams,
    )
    return BuiltSnapshot(snapshot=snapshot, new_keys=keys.to_print)


def _make_price_book(
    sources: SnapshotSources, operator: OperatorConfig, stored: StoredCatalogue
) -> PriceBook:
    base = read_document(sources.price_book_path)
    directory = sources.settings.home / PRICE_BOOKS_DIRECTORY
    return write_effective_book(operator, base, directory, stored.prices)


def _declared_tenants(settings: Settings, operator: OperatorConfig) -> dict[str, TenantConfig]:
    if operator.tenants:
        return dict(operator.tenants)
    if settings.environment != "development":
        raise ConfigError(
            "no tenants are declared, so every call would be refused",
            "declare tenants with their keys in apex.yaml and name the file in APEX_CONFIG",
        )
    secret = load_demo_key(settings.home)
    key = KeyConfig(name=DEMO_NAME, secret=secret)
    return {DEMO_NAME: TenantConfig(keys=(key,), policy=DEMO_POLICY)}


def _policy_of(tenant: str, declared: TenantConfig) -> Policy:
    """Checked by policies.declared already, which knows its lines; ConfigError all the same."""
    source = declared.policy
    # A policy written inline needs no name of its own: the tenant's serves in its revision.
    return load_policy(source if isinstance(source, str) else {"name": tenant, **source})


def _tenant_records(
    operator: OperatorConfig, policies: dict[str, Policy]
) -> dict[str, TenantRecord]:
    return {
        name: TenantRecord(
            name=name,
            policy_revision=policy.revision,
            candidate_revision=None,
            is_demo=name not in operator.tenants,
        )
        for name, policy in policies.items()
    }
