"""Building a snapshot: demo and declared tenants, policies, prices, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.errors import ConfigError
from config.operator import load_operator_config
from config.operator_model import OperatorConfig
from config.secrets import KeyRing
from config.settings import load_settings
from policies.keys import key_hmac, parse_key_id
from policies.snapshot import dump_snapshot, load_snapshot
from policies.snapshot_builder import BuiltSnapshot, SnapshotSources, build_snapshot

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


async def test_production_needs_declared_tenants(sql_engine: AsyncEngine, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        await build(sql_engine, tmp_path, make_operator(), APEX_ENVIRONMENT="production", **SECRETS)
    assert "declare tenants" in raised.value.hint
    assert not (tmp_path / "demo.key").exists()


async def test_estimates_can_be_switched_off(sql_engine: AsyncEngine, tmp_path: Path) -> None:
    for enabled in (True, False):
        operator = make_operator(estimates={"enabled": enabled})
        built = await build(sql_engine, tmp_path, operator)
        assert built.snapshot.estimates.enabled is enabled
