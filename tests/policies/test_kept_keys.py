"""What outlives a master key is stored sealed, and read by whoever has the current one."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from config.errors import ConfigError
from config.secrets import NOTHING_KEPT, KeyRing, sealed_under
from policies.kept_keys import find_kept_keys, read_kept_keys, read_sealed, write_kept_keys
from storage.tables import kv_state

RING = KeyRing(b"m" * 32)


async def test_what_is_kept_comes_back_and_is_replaced(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        assert await read_kept_keys(connection, RING) == NOTHING_KEPT
        for epoch in ("2026-11", "2026-12"):
            kept = RING.keep({"k1"}, ["acme"], epoch)
            await write_kept_keys(connection, kept, RING)
            assert await read_kept_keys(connection, RING) == kept
        sealed = await read_sealed(connection)
        [text] = (await connection.execute(sa.select(kv_state.c.value))).scalars()
    assert sealed is not None
    assert sealed_under(sealed) == "k1"
    assert all(key.hex() not in text and key not in sealed for key in kept.keys.values())


async def test_the_base_is_recorded_at_the_first_look(sql_engine: AsyncEngine) -> None:
    """Whatever the order in which a second master key is set later."""
    async with sql_engine.begin() as connection:
        first = KeyRing(b"f" * 32, "k5")
        assert (await find_kept_keys(connection, first)).base == "k5"
        both = KeyRing(b"n" * 32, "k6", {"k5": b"f" * 32})
        kept = await find_kept_keys(connection, both)
    assert both.with_kept(kept).subject_key("acme") == first.subject_key("acme")
    assert KeyRing(b"m" * 32, "k1", {"k2": b"n" * 32}).base == "k1"


async def test_another_master_key_opens_nothing(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await write_kept_keys(connection, RING.keep({"k1"}, [], "2026-11"), RING)
        with pytest.raises(ConfigError):
            await read_kept_keys(connection, KeyRing(b"x" * 32))
