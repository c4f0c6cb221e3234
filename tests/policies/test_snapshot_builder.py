"""Building a snapshot: demo and declared tenants, policies, prices, and what is refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.errors import ConfigError
from config.operator import load_operator_config
from config.operator_model import OperatorConfig
from config.secrets import KeyRing
from config.settings import load_settings
from policies.api_key_store import find_key, insert_key
from policies.audit import verify_chain
from policies.keys import generate_key, key_hmac, parse_key_id
from policies.limits import Budget
from policies.project_store import insert_project
from policies.records import seconds_of
from policies.snapshot import dump_snapshot, load_snapshot
from policies.snapshot_builder import BuiltSnapshot, SnapshotSources, build_snapshot
from policies.stored_state import StateReader
from policies.tenant_store import insert_tenant, update_tenant
from storage.tables import audit_log

RING = KeyRing(b"m" * 32)
CLOCK = Clock(origin=1_800_000_000.0)
SECRETS = {"APEX_MASTER_KEY": "m" * 32, "APEX_ADMIN_TOKEN": "a" * 32}
OWN = "operators-own-secret-of-more-than-32-characters"


def make_operator(**parts: Any) -> OperatorConfig:
    return OperatorConfig.model_validate(
        {
            "upstreams": {"mock": {"kind": "mock"}},
            "default_upstream": "mock",
            **parts,
        }
    )


async def build(
    sql_engine: AsyncEngine, home: Path, operator: OperatorConfig, **environ: str
) -> BuiltSnapshot:
    settings = load_settings({"APEX_HOME": str(home), **environ})
    return await build_snapshot(SnapshotSources(settings, operator, RING), sql_engine, 3, CLOCK)


async def test_development_without_tenants_has_a_demo_tenant(
    sql_engine: AsyncEngine, tmp_path: Path
) -> None:
    operator = load_operator_config(None, {})
    built = await build(sql_engine, tmp_path, operator)
    ((tenant, name, secret),) = built.new_keys
    assert (tenant, name) == ("demo", "demo")
    snapshot = built.snapshot
    assert (snapshot.number, snapshot.environment) == (3, "development")
    assert snapshot.built_at == pytest.approx(CLOCK.now(), abs=60)
    assert snapshot.tenants["demo"].is_demo
    key = snapshot.keys_by_id[parse_key_id(secret) or ""]
    assert key.secret_hmac == key_hmac(RING.pepper(), secret)
    assert snapshot.keys_by_hmac[key.secret_hmac] is key
    assert snapshot.policies[snapshot.tenants["demo"].policy_revision].name == "balanced"
    assert snapshot.models["gpt-4o"][0].upstream == "mock"
    assert (tmp_path / "price-books" / f"{snapshot.price_book}.json").exists()
    again = await build(sql_engine, tmp_path, operator)
    assert again.new_keys == built.new_keys
    assert load_snapshot(dump_snapshot(snapshot)) == snapshot


async def test_declared_tenants_replace_the_demo(sql_engine: AsyncEngine, tmp_path: Path) -> None:
    keys = [{"name": "own", "secret": OWN, "tags": {"team": "search"}}, {"name": "made"}]
    operator = make_operator(
        tenants={"acme": {"keys": keys, "policy": "cheapest"}, "other": {"keys": [{"name": "a"}]}}
    )
    built = await build(sql_engine, tmp_path, operator)
    assert sorted((tenant, name) for tenant, name, _ in built.new_keys) == [
        ("acme", "made"),
        ("other", "a"),
    ]
    snapshot = built.snapshot
    assert set(snapshot.tenants) == {"acme", "other"}
    assert not any(tenant.is_demo for tenant in snapshot.tenants.values())
    assert snapshot.keys_by_hmac[key_hmac(RING.pepper(), OWN)].tags == {"team": "search"}
    assert {policy.name for policy in snapshot.policies.values()} == {"cheapest", "balanced"}
    assert not (tmp_path / "demo.key").exists()
    again = await build(sql_engine, tmp_path, operator)
    assert again.new_keys == []
    assert again.snapshot.keys_by_id == snapshot.keys_by_id
    assert built.new_keys[0][2] not in repr(built)


async def test_a_key_that_is_no_longer_declared_is_gone(
    sql_engine: AsyncEngine, tmp_path: Path
) -> None:
    both = make_operator(tenants={"acme": {"keys": [{"name": "a"}, {"name": "b"}]}})
    one = make_operator(tenants={"acme": {"keys": [{"name": "a"}]}})
    assert len((await build(sql_engine, tmp_path, both)).snapshot.keys_by_id) == 2
    (left,) = (await build(sql_engine, tmp_path, one)).snapshot.keys_by_id.values()
    assert left.name == "a"


async def test_an_inline_policy_takes_its_tenants_name(
    sql_engine: AsyncEngine, tmp_path: Path
) -> None:
    policy = {"rules": [{"name": "r", "route": [{"model": "gpt-4o-mini"}]}]}
    operator = make_operator(tenants={"acme": {"keys": [{"name": "a"}], "policy": policy}})
    snapshot = (await build(sql_engine, tmp_path, operator)).snapshot
    revision = snapshot.tenants["acme"].policy_revision
    assert revision.startswith("acme@")
    assert snapshot.policies[revision].rules[0].name == "r"


async def test_a_shipped_policy_may_name_models_that_are_not_served(
    sql_engine: AsyncEngine, tmp_path: Path
) -> None:
    upstream = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "allow_private": True}
    operator = OperatorConfig.model_validate(
        {
            "upstreams": {"local": upstream},
            "models": {"house": {"upstreams": ["local"]}},
            "tenants": {"acme": {"keys": [{"name": "a"}], "policy": "cheapest"}},
        }
    )
    assert set((await build(sql_engine, tmp_path, operator)).snapshot.models) == {"house"}


async def test_production_begins_without_tenants(sql_engine: AsyncEngine, tmp_path: Path) -> None:
    """They come over the admin API: a demo key that everybody finds on the disk must not."""
    built = await build(
        sql_engine, tmp_path, make_operator(), APEX_ENVIRONMENT="production", **SECRETS
    )
    assert (built.snapshot.tenants, built.snapshot.keys_by_id) == ({}, {})
    assert not (tmp_path / "demo.key").exists()


async def test_what_the_file_says_of_a_key_is_in_its_record(
    sql_engine: AsyncEngine, tmp_path: Path
) -> None:
    limits = {"requests_per_minute": 5, "budgets": [{"amount_usd": "2.5", "period": "month"}]}
    key = {
        "name": "app", "project": "search", "models": ["gpt-*"], "endpoints": ["chat"],
        "expires_at": "2027-05-01T00:00:00Z", "output_tokens_cap": 99, "limits": limits,
        "tags": {"own": "1"},
    }  # fmt: skip
    projects = {"search": {"tags": {"own": "0", "team": "s"}, "limits": {"concurrency": 3}}}
    tenant = {"keys": [key], "projects": projects, "time_zone": "Asia/Tokyo", "limits": limits}
    operator = make_operator(tenants={"acme": tenant})
    snapshot = (await build(sql_engine, tmp_path, operator)).snapshot
    (record,) = snapshot.keys_by_id.values()
    assert (record.project, record.models, record.endpoints) == ("search", ("gpt-*",), ("chat",))
    assert (record.output_tokens_cap, record.tags) == (99, {"own": "1", "team": "s"})
    assert record.expires_at == datetime(2027, 5, 1, tzinfo=UTC).timestamp()
    assert record.limits.budgets == (Budget("month", 2_500_000_000_000),)
    assert snapshot.projects["acme", "search"].limits.rates.concurrency == 3
    assert snapshot.tenants["acme"].time_zone == "Asia/Tokyo"
    assert snapshot.tenants["acme"].limits == record.limits
    async with sql_engine.connect() as connection:
        state = await StateReader().read(connection)
    await build(sql_engine, tmp_path, operator)
    async with sql_engine.connect() as connection:
        assert await StateReader().read(connection) == state, (
            "nothing is written where nothing changed"
        )


async def test_what_the_api_made_is_merged_in(sql_engine: AsyncEngine, tmp_path: Path) -> None:
    made, late, over = generate_key(), generate_key(), generate_key()
    operator = make_operator(tenants={"acme": {"keys": [{"name": "app", "secret": OWN}]}})
    await build(sql_engine, tmp_path, operator)
    now = CLOCK.now()
    async with sql_engine.begin() as connection:
        await insert_tenant(connection, {"name": "globex", "time_zone": "Asia/Tokyo"}, now)
        await insert_tenant(connection, {"name": "closed"}, now)
        await insert_project(connection, {"tenant": "globex", "name": "p"}, now)
        for tenant, name, key, seconds in (
            ("globex", "app", made, 60), ("acme", "ci", late, -60), ("acme", "old", over, -9e6),
        ):  # fmt: skip
            expires_at = datetime.fromtimestamp(now + seconds, UTC)
            values = {"tenant": tenant, "name": name, "expires_at": expires_at}
            await insert_key(connection, values, key, RING, now)
        closed = {"archived_at": datetime.fromtimestamp(now, UTC)}
        await update_tenant(connection, "closed", 1, closed, now)
    built = await build(sql_engine, tmp_path, operator)
    snapshot = built.snapshot
    assert set(snapshot.tenants) == {"acme", "globex"}
    assert set(snapshot.projects) == {("globex", "p")}
    assert snapshot.tenants["globex"].time_zone == "Asia/Tokyo"
    policy = snapshot.policies[snapshot.tenants["globex"].policy_revision]
    assert policy.name == "balanced"
    names = {(key.tenant, key.name) for key in snapshot.keys_by_id.values()}
    assert names == {("acme", "app"), ("acme", "ci"), ("globex", "app")}, "long expired ones go"
    assert built.new_keys == []


async def test_what_was_revoked_without_a_store_is_made_up_for(
    sql_engine: AsyncEngine, tmp_path: Path
) -> None:
    """Row 10; also when the store comes back from a backup of before."""
    made = generate_key()
    operator = make_operator(tenants={"acme": {"keys": [{"name": "app", "secret": OWN}]}})
    await build(sql_engine, tmp_path, operator)
    async with sql_engine.begin() as connection:
        await insert_key(connection, {"tenant": "acme", "name": "ci"}, made, RING, CLOCK.now())
    settings = load_settings({"APEX_HOME": str(tmp_path)})
    sources = SnapshotSources(settings, operator, RING, {made.key_id: 1.7e9})
    for _ in range(2):
        built = await build_snapshot(sources, sql_engine, 4, CLOCK)
        assert {key.name for key in built.snapshot.keys_by_id.values()} == {"app"}
    async with sql_engine.connect() as connection:
        row = await find_key(connection, "acme", made.key_id)
        entries = (await connection.execute(sa.select(audit_log))).mappings().all()
    assert row is not None
    assert seconds_of(row["revoked_at"]) == 1.7e9
    assert [(each["action"], each["chain"]) for each in entries] == [("key.revoke", "acme")]
    assert verify_chain(entries) == ""


@pytest.mark.parametrize("declared", ["tenant", "key"])
async def test_a_name_in_file_and_api_is_refused(
    sql_engine: AsyncEngine, tmp_path: Path, declared: str
) -> None:
    async with sql_engine.begin() as connection:
        await insert_tenant(connection, {"name": "globex"}, 1.0)
    name = "globex" if declared == "tenant" else "acme"
    operator = make_operator(tenants={name: {"keys": [{"name": "app", "secret": OWN}]}})
    if declared == "key":
        await build(
            sql_engine, tmp_path, make_operator(tenants={"acme": {"keys": [{"name": "x"}]}})
        )
        async with sql_engine.begin() as connection:
            values = {"tenant": "acme", "name": "app"}
            await insert_key(connection, values, generate_key(), RING, 1.0)
    with pytest.raises(ConfigError) as raised:
        await build(sql_engine, tmp_path, operator)
    assert "which the admin API made" in raised.value.message
    assert "rename it in apex.yaml" in raised.value.hint


async def test_estimates_can_be_switched_off(sql_engine: AsyncEngine, tmp_path: Path) -> None:
    for enabled in (True, False):
        operator = make_operator(estimates={"enabled": enabled})
        built = await build(sql_engine, tmp_path, operator)
        assert built.snapshot.estimates.enabled is enabled
