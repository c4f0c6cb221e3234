"""SQL follows apex.yaml: what is written, what is archived, what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from config.errors import ConfigError
from config.operator_model import TenantConfig
from config.secrets import KeyRing
from policies.keys import generate_key, key_hmac
from policies.reconciling import Reconciler
from policies.stored_state import StateReader, StoredState, write_state

NOW = 1_790_000_000.0
RING = KeyRing(b"m" * 32)
OWN = "operators-own-secret-of-more-than-32-characters"
NOTHING = StoredState({}, {}, {})


def declare(**tenants: Any) -> dict[str, TenantConfig]:
    return {
        name: TenantConfig.model_validate({"keys": keys} if isinstance(keys, list) else keys)
        for name, keys in tenants.items()
    }


def reconcile(
    declared: Mapping[str, TenantConfig], stored: StoredState = NOTHING, ring: KeyRing = RING
) -> Reconciler:
    reconciler = Reconciler(stored, ring, NOW)
    reconciler.take(declared)
    return reconciler


async def follow(engine: AsyncEngine, declared: Mapping[str, TenantConfig]) -> Reconciler:
    """Reconcile with what is stored, and write it."""
    async with engine.begin() as connection:
        reconciler = reconcile(declared, await StateReader().read(connection))
        await write_state(connection, reconciler.writes)
    return reconciler


def test_an_own_secret_keeps_its_id_when_it_changes() -> None:
    ids = set()
    for secret in (OWN, f"{OWN}-next"):
        reconciler = reconcile(declare(acme=[{"name": "app", "secret": secret}]))
        ((key_id, row),) = reconciler.keys.items()
        assert row["secret_hmac"] == key_hmac(RING.pepper(), secret).hex()
        assert (row["last4"], reconciler.new_secrets) == ("", [])
        ids.add(key_id)
    assert len(ids) == 1


def test_an_own_secret_in_our_format_is_found_by_the_id_it_carries() -> None:
    key = generate_key()
    one = [{"name": "app", "secret": key.secret}]
    assert list(reconcile(declare(acme=one)).keys) == [key.key_id]
    with pytest.raises(ConfigError) as raised:
        reconcile(declare(acme=one, other=one))
    assert key.key_id in raised.value.message
    assert key.secret not in str(raised.value)


async def test_a_generated_key_is_told_by_who_made_it_only(sql_engine: AsyncEngine) -> None:
    declared = declare(acme=[{"name": "app", "tags": {"team": "search"}}], other=[{"name": "app"}])
    first = await follow(sql_engine, declared)
    again = await follow(sql_engine, declared)
    assert sorted(each[:2] for each in first.new_secrets) == [("acme", "app"), ("other", "app")]
    assert (again.new_secrets, again.writes.inserts, again.writes.updates) == ([], [], [])
    assert again.keys.keys() == first.keys.keys()
    hashes = {row["secret_hmac"] for row in again.keys.values()}
    assert hashes == {key_hmac(RING.pepper(), each[2]).hex() for each in first.new_secrets}


async def test_a_key_that_comes_back_is_the_one_it_was(sql_engine: AsyncEngine) -> None:
    both, one = declare(acme=[{"name": "a"}, {"name": "b"}]), declare(acme=[{"name": "a"}])
    first = await follow(sql_engine, both)
    await follow(sql_engine, one)
    async with sql_engine.connect() as connection:
        rows = (await StateReader().read(connection)).keys.values()
    assert {row["name"]: row["archived_at"] is None for row in rows} == {"a": True, "b": False}
    back = await follow(sql_engine, both)
    assert (back.new_secrets, set(back.keys)) == ([], set(first.keys))


async def test_a_secret_that_comes_or_goes_makes_another_key(sql_engine: AsyncEngine) -> None:
    made = await follow(sql_engine, declare(acme=[{"name": "app"}]))
    own = await follow(sql_engine, declare(acme=[{"name": "app", "secret": OWN}]))
    back = await follow(sql_engine, declare(acme=[{"name": "app"}]))
    assert (len(made.new_secrets), len(own.new_secrets), len(back.new_secrets)) == (1, 0, 1)
    assert len({*made.keys, *own.keys, *back.keys}) == 3
    async with sql_engine.connect() as connection:
        rows = (await StateReader().read(connection)).keys
    names = {f"app~{key_id}" for key_id in (*made.keys, *own.keys)}
    assert {row["name"] for row in rows.values()} == {"app", *names}


async def test_a_renamed_key_keeps_its_secret_and_its_row(sql_engine: AsyncEngine) -> None:
    secret = generate_key().secret
    await follow(sql_engine, declare(acme=[{"name": "app", "secret": secret}]))
    await follow(sql_engine, declare(other=[{"name": "renamed", "secret": secret}]))
    async with sql_engine.connect() as connection:
        state = await StateReader().read(connection)
    ((_, row),) = state.keys.items()
    assert (row["tenant"], row["name"], row["archived_at"]) == ("other", "renamed", None)
    assert state.tenants["acme"]["archived_at"] is not None


async def test_two_keys_may_swap_their_names(sql_engine: AsyncEngine) -> None:
    one, two = generate_key(), generate_key()
    for first, second in ((one, two), (two, one)):
        keys = [{"name": "a", "secret": first.secret}, {"name": "b", "secret": second.secret}]
        await follow(sql_engine, declare(acme=keys))
    async with sql_engine.connect() as connection:
        rows = (await StateReader().read(connection)).keys
    names = {key_id: (row["name"], row["archived_at"]) for key_id, row in rows.items()}
    assert names == {one.key_id: ("b", None), two.key_id: ("a", None)}


async def test_a_key_of_another_master_key_is_refused(sql_engine: AsyncEngine) -> None:
    declared = declare(acme=[{"name": "app"}])
    await follow(sql_engine, declared)
    async with sql_engine.connect() as connection:
        stored = await StateReader().read(connection)
    with pytest.raises(ConfigError) as raised:
        reconcile(declared, stored, KeyRing(b"m" * 32, "k2"))
    assert "master key 'k1'" in raised.value.message


async def test_projects_follow_the_file(sql_engine: AsyncEngine) -> None:
    keys = [{"name": "app", "project": "p"}]
    with_one = declare(acme={"keys": keys, "projects": {"p": {"tags": {"a": "1"}}}})
    await follow(sql_engine, with_one)
    await follow(sql_engine, declare(acme=[{"name": "app"}]))
    async with sql_engine.connect() as connection:
        state = await StateReader().read(connection)
    project = state.projects["acme", "p"]
    assert (project["tags"], project["managed_by"]) == ({"a": "1"}, "file")
    assert project["archived_at"] is not None
    await follow(sql_engine, with_one)
    async with sql_engine.connect() as connection:
        assert (await StateReader().read(connection)).projects["acme", "p"]["archived_at"] is None
