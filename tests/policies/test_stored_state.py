"""Everything a snapshot may be made of, read at once; and what is written in its wake."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from config.errors import ConfigError
from config.secrets import KeyRing
from policies.api_key_store import insert_key, update_key
from policies.keys import generate_key
from policies.stored_state import StateReader, Writes, write_state
from policies.tenant_store import insert_tenant
from storage.tables import tenants

NOW = 1_790_000_000.0
RING = KeyRing(b"m" * 32)


async def test_revoked_keys_are_left_out(sql_engine: AsyncEngine) -> None:
    kept, revoked = generate_key(), generate_key()
    async with sql_engine.begin() as connection:
        await insert_tenant(connection, {"name": "acme"}, NOW)
        for key, name in ((kept, "a"), (revoked, "b")):
            await insert_key(connection, {"tenant": "acme", "name": name}, key, RING, NOW)
        row = (await StateReader().read(connection)).keys[revoked.key_id]
        await update_key(connection, row, {"revoked_at": datetime.fromtimestamp(NOW, UTC)}, NOW)
        state = await StateReader().read(connection)
    assert (set(state.tenants), set(state.keys)) == ({"acme"}, {kept.key_id})
    assert "secret_hmac" not in repr(state)


@pytest.mark.parametrize("most_named", [0, 500])
async def test_only_what_changed_is_read_again(
    sql_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, most_named: int
) -> None:
    monkeypatch.setattr("policies.stored_state.MOST_NAMED", most_named)
    reader, keys = StateReader(), [generate_key() for _ in range(3)]
    async with sql_engine.begin() as connection:
        await insert_tenant(connection, {"name": "acme"}, NOW)
        for number, key in enumerate(keys):
            values = {"tenant": "acme", "name": f"key-{number}"}
            await insert_key(connection, values, key, RING, NOW)
        before = (await reader.read(connection)).keys
        changed, revoked, kept = (before[key.key_id] for key in keys)
        await update_key(connection, changed, {"tags": {"a": "1"}}, NOW)
        await update_key(connection, revoked, {"revoked_at": datetime.fromtimestamp(NOW, UTC)}, NOW)
        after = (await reader.read(connection)).keys
    assert set(after) == {changed["key_id"], kept["key_id"]}
    assert after[kept["key_id"]] is kept
    assert after[changed["key_id"]]["tags"] == {"a": "1"}


async def test_rows_are_written_and_clashes_explained(
    sql_engine: AsyncEngine,
) -> None:
    moment = datetime.fromtimestamp(NOW, UTC)
    writes = Writes(
        inserts=[(tenants, {"name": "globex", "created_at": moment})],
        updates=[(tenants, {"name": "acme"}, {"tier": "mid"})],
    )
    async with sql_engine.begin() as connection:
        await insert_tenant(connection, {"name": "acme"}, NOW)
        await write_state(connection, writes)
        state = await StateReader().read(connection)
        assert {name: row["tier"] for name, row in state.tenants.items()} == {
            "acme": "mid", "globex": "free",
        }  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        async with sql_engine.begin() as connection:
            await write_state(connection, Writes(inserts=writes.inserts))
    assert "globex" not in raised.value.message
