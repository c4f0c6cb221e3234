"""Data keys: sealed under the master key, and sealing for one tenant and place alone."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from config.errors import ConfigError
from config.secrets import KeyRing, sealed_under
from policies.sealing import DataKey, find_or_make_data_key, make_data_key, read_data_keys
from storage.tables import tenant_keys

RING = KeyRing(b"m" * 32)
PLACE = ("openai", "api.openai.com", "main")


async def test_a_tenants_data_key_is_made_once_and_stored_sealed(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        made = await find_or_make_data_key(connection, "acme", RING, 1.0)
        other = await find_or_make_data_key(connection, "globex", RING, 1.0)
    async with sql_engine.begin() as connection:
        found = await find_or_make_data_key(connection, "acme", RING, 2.0)
        rows = (await connection.execute(sa.select(tenant_keys))).mappings().all()
    assert found == made
    assert made.key != other.key
    assert {row["master_key_id"] for row in rows} == {"k1"}
    assert all(sealed_under(row["sealed"]) == "k1" for row in rows)
    assert all(made.key not in row["sealed"] for row in rows)
    assert made.key.hex() not in repr(made)


async def test_the_newest_data_key_seals_and_older_ones_still_open(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        first = await make_data_key(connection, "acme", RING, 1.0)
        second = await make_data_key(connection, "acme", RING, 2.0)
        assert await find_or_make_data_key(connection, "acme", RING, 3.0) == second
        assert await read_data_keys(connection, RING) == {
            ("acme", first.data_key_id): first, ("acme", second.data_key_id): second,
        }  # fmt: skip
        assert await read_data_keys(connection, RING, "globex") == {}
        assert await read_data_keys(connection, KeyRing(b"x" * 32)) == {}


async def test_rows_of_data_keys_cannot_be_swapped(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await make_data_key(connection, "acme", RING, 1.0)
        await make_data_key(connection, "globex", RING, 1.0)
        query = sa.select(tenant_keys.c.sealed).where(tenant_keys.c.tenant == "globex")
        theirs = (await connection.execute(query)).scalar_one()
        await connection.execute(
            sa.update(tenant_keys).where(tenant_keys.c.tenant == "acme").values(sealed=theirs)
        )
        with pytest.raises(ConfigError):
            await find_or_make_data_key(connection, "acme", RING, 2.0)


def test_what_is_sealed_opens_nowhere_else() -> None:
    key = DataKey("acme", "dk_1", b"k" * 32)
    sealed = key.seal(b"sk-provider", PLACE)
    assert key.unseal(sealed, PLACE) == b"sk-provider"
    assert b"sk-provider" not in sealed
    assert sealed != key.seal(b"sk-provider", PLACE), "nonces are never the same"
    others = [
        (DataKey("globex", "dk_1", b"k" * 32), PLACE),
        (DataKey("acme", "dk_2", b"k" * 32), PLACE),
        (DataKey("acme", "dk_1", b"x" * 32), PLACE),
        (key, ("anthropic", "api.openai.com", "main")),
        (key, ("openai", "evil.example", "main")),
        (key, ("openai", "api.openai.com", "other")),
    ]
    for other, place in others:
        with pytest.raises(ConfigError):
            other.unseal(sealed, place)


def test_every_flipped_byte_and_every_cut_is_noticed() -> None:
    key = DataKey("acme", "dk_1", b"k" * 32)
    sealed = key.seal(b"sk-provider", PLACE)
    for index in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[index] ^= 1
        for damaged in (bytes(flipped), sealed[:index]):
            with pytest.raises(ConfigError):
                key.unseal(damaged, PLACE)
