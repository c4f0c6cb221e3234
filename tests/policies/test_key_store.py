"""Generated keys in SQL: made once, stored as an HMAC, refused under another pepper."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from config.clock import Clock
from config.errors import ConfigError
from config.secrets import KeyRing
from policies.key_store import add_tenants, find_or_make_key
from policies.keys import key_hmac, parse_key_id
from storage.tables import api_keys, tenants

RING = KeyRing(b"m" * 32)
CLOCK = Clock()


async def test_a_key_is_made_once_and_its_secret_is_not_stored(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await add_tenants(connection, ["acme"], CLOCK)
        made = await find_or_make_key(connection, "acme", "app", RING, CLOCK)
    async with sql_engine.begin() as connection:
        found = await find_or_make_key(connection, "acme", "app", RING, CLOCK)
        row = (await connection.execute(sa.select(api_keys))).mappings().one()
    assert made.secret is not None
    assert parse_key_id(made.secret) == made.key_id == found.key_id
    assert made.secret_hmac == found.secret_hmac == key_hmac(RING.pepper(), made.secret)
    assert found.secret is None
    assert (row["last4"], row["pepper_id"]) == (made.secret[-4:], "k1")
    assert (row["scopes"], row["expires_at"]) == (["inference"], None)
    assert made.secret not in str(dict(row))


async def test_names_are_unique_per_tenant_only(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await add_tenants(connection, ["acme", "other"], CLOCK)
        one = await find_or_make_key(connection, "acme", "app", RING, CLOCK)
        two = await find_or_make_key(connection, "other", "app", RING, CLOCK)
        three = await find_or_make_key(connection, "acme", "batch", RING, CLOCK)
    assert len({one.key_id, two.key_id, three.key_id}) == 3


async def test_a_key_of_another_master_key_is_refused(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await add_tenants(connection, ["acme"], CLOCK)
        await find_or_make_key(connection, "acme", "app", RING, CLOCK)
        with pytest.raises(ConfigError) as raised:
            await find_or_make_key(connection, "acme", "app", KeyRing(b"m" * 32, "k2"), CLOCK)
        ring = KeyRing(b"n" * 32, "k2", {"k1": b"m" * 32})
        found = await find_or_make_key(connection, "acme", "app", ring, CLOCK)
        made = await find_or_make_key(connection, "acme", "new", ring, CLOCK)
    assert "master key 'k1'" in raised.value.message
    assert (found.pepper_id, made.pepper_id) == ("k1", "k2")


async def test_tenants_are_recorded_once(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await add_tenants(connection, ["acme"], CLOCK)
        await add_tenants(connection, ["acme", "other"], CLOCK)
        await add_tenants(connection, [], CLOCK)
        names = (await connection.execute(sa.select(tenants.c.name))).scalars().all()
    assert sorted(names) == ["acme", "other"]
