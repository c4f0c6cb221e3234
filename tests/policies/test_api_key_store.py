"""API keys in SQL: a tenant's own, the secret as HMAC, changed only as they were seen."""

from sqlalchemy.ext.asyncio import AsyncEngine

from config.secrets import KeyRing
from policies.api_key_store import (
    count_keys,
    find_key,
    insert_key,
    list_keys,
    name_of,
    retired_name,
    update_key,
)
from policies.keys import generate_key, key_hmac
from policies.tenant_store import insert_tenant

NOW = 1_790_000_000.0
RING = KeyRing(b"m" * 32)


async def test_keys_are_made_found_and_changed(sql_engine: AsyncEngine) -> None:
    key, other = generate_key(), generate_key()
    async with sql_engine.begin() as connection:
        for tenant, made in (("acme", key), ("other", other)):
            await insert_tenant(connection, {"name": tenant}, NOW)
            values = {"tenant": tenant, "name": "app", "models": ["gpt-*"]}
            await insert_key(connection, values, made, RING, NOW)
        (row,) = await list_keys(connection, "acme", "", 5)
        assert await list_keys(connection, "acme", row["key_id"], 5) == []
        assert await count_keys(connection, "acme") == 1
        assert await count_keys(connection, "none") == 0
        assert await find_key(connection, "acme", other.key_id) is None
        assert bytes.fromhex(row["secret_hmac"]) == key_hmac(RING.pepper(), key.secret)
        assert (row["last4"], row["pepper_id"]) == (key.secret[-4:], RING.key_id)
        assert (row["models"], row["managed_by"]) == (["gpt-*"], "api")
        assert key.secret not in str(dict(row))
        assert await update_key(connection, row, {"name": retired_name(row)}, NOW)
        assert not await update_key(connection, row, {"name": "again"}, NOW)
        changed = await find_key(connection, "acme", key.key_id)
        assert changed is not None
        assert (changed["name"], name_of(changed)) == (f"app~{key.key_id}", "app")
