"""Tenants and generated API keys in SQL: found by tenant and name, made when missing.

Called by the snapshot builder. What is stored is the HMAC under the pepper, never the secret.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from config.clock import Clock
from config.errors import ConfigError
from config.secrets import KeyRing
from policies.keys import generate_key, key_hmac
from storage.tables import api_keys, tenants

DATA_PLANE_SCOPE = "inference"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A generated key; `secret` is set only when this call made it."""

    key_id: str
    secret_hmac: bytes
    secret: str | None
    pepper_id: str  # the master key its HMAC was made under


async def add_tenants(connection: AsyncConnection, names: Iterable[str], clock: Clock) -> None:
    """Records the tenants that are not recorded yet. None is ever removed: usage names them."""
    known = set((await connection.execute(sa.select(tenants.c.name))).scalars())
    made_at = datetime.fromtimestamp(clock.now(), UTC)
    rows = [{"name": name, "created_at": made_at} for name in names if name not in known]
    if rows:
        await connection.execute(sa.insert(tenants), rows)


async def find_or_make_key(
    connection: AsyncConnection, tenant: str, name: str, key_ring: KeyRing, clock: Clock
) -> StoredKey:
    """The tenant's key of this name. Raises ConfigError when its pepper is not known any more."""
    query = sa.select(api_keys).where(api_keys.c.tenant == tenant, api_keys.c.name == name)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return await _make_key(connection, tenant, name, key_ring, clock)
    if not key_ring.knows_pepper(row["pepper_id"]):
        raise ConfigError(
            f"key {name!r} of tenant {tenant!r} was made under master key {row['pepper_id']!r}",
            f"set that master key in APEX_MASTER_KEYS, behind {key_ring.key_id!r}, and run "
            "rotate-master-key; or rename the key in apex.yaml to have a new one made",
        )
    return StoredKey(row["key_id"], bytes.fromhex(row["secret_hmac"]), None, row["pepper_id"])


async def _make_key(
    connection: AsyncConnection, tenant: str, name: str, key_ring: KeyRing, clock: Clock
) -> StoredKey:
    key = generate_key()
    digest = key_hmac(key_ring.pepper(), key.secret)
    row: dict[str, Any] = {
        "key_id": key.key_id,
        "tenant": tenant,
        "name": name,
        "secret_hmac": digest.hex(),
        "pepper_id": key_ring.key_id,
        "last4": key.secret[-4:],
        "created_at": datetime.fromtimestamp(clock.now(), UTC),
        "expires_at": None,
        "scopes": [DATA_PLANE_SCOPE],
    }
    await connection.execute(sa.insert(api_keys).values(row))
    return StoredKey(key.key_id, digest, key.secret, key_ring.key_id)
