"""The key that signs snapshots: made once, sealed in SQL, useless to another master key."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from config.errors import ConfigError
from config.secrets import KeyRing
from policies.signing_key_store import load_signer
from storage.tables import signing_keys

RING = KeyRing(b"m" * 32)


async def test_it_is_made_once_and_lies_sealed(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        made = await load_signer(connection, RING, 1000.0)
    async with sql_engine.begin() as connection:
        found = await load_signer(connection, RING, 2000.0)
        (row,) = (await connection.execute(sa.select(signing_keys))).mappings().all()
    assert found.public_key == made.public_key
    assert (row["purpose"], row["public_key"]) == ("snapshots", made.public_pem())
    assert made.private_bytes() not in row["private_key_sealed"]


async def test_keys_of_other_purposes_and_retired_ones_are_not_taken(
    sql_engine: AsyncEngine,
) -> None:
    async with sql_engine.begin() as connection:
        first = await load_signer(connection, RING, 1000.0)
        now = sa.func.current_timestamp()
        await connection.execute(sa.update(signing_keys).values(retired_at=now))
        second = await load_signer(connection, RING, 2000.0)
        await connection.execute(sa.update(signing_keys).values(purpose="tokens", retired_at=None))
        third = await load_signer(connection, RING, 3000.0)
    assert len({first.public_key, second.public_key, third.public_key}) == 3


async def test_another_master_key_does_not_open_it(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await load_signer(connection, RING, 1000.0)
        with pytest.raises(ConfigError):
            await load_signer(connection, KeyRing(b"o" * 32), 1000.0)
