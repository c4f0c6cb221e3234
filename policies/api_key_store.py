"""API keys in SQL as the admin API lists, makes, changes, rotates and revokes them.

A key is its tenant's and never found without it. policies.key_store makes those of apex.yaml.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from config.secrets import KeyRing
from policies.keys import GeneratedKey, key_hmac
from storage.tables import BY_API, api_keys

Row = Mapping[Any, Any]  # by column name
DATA_PLANE_SCOPE = "inference"
# Behind it is the id of a key that gave its name to the one that replaces it: names are unique.
RETIRED_MARK = "~"
# What a key has in common with the one that replaces it.
INHERITED = (
    "tenant", "name", "project", "tags", "endpoints", "models", "limits", "output_tokens_cap",
    "expires_at",
)  # fmt: skip


def name_of(row: Row) -> str:
    """The name people gave the key, also of one that has given it on."""
    return str(row["name"]).partition(RETIRED_MARK)[0]


def retired_name(row: Row) -> str:
    """The name of a key that gives its own to another."""
    return f"{name_of(row)}{RETIRED_MARK}{row['key_id']}"


async def list_keys(connection: AsyncConnection, tenant: str, after: str, most: int) -> list[Row]:
    """The tenant's keys by id, from the first one behind `after`."""
    query = (
        sa.select(api_keys)
        .where(api_keys.c.tenant == tenant, api_keys.c.key_id > after)
        .order_by(api_keys.c.key_id)
        .limit(most)
    )
    return list((await connection.execute(query)).mappings().all())


async def count_keys(connection: AsyncConnection, tenant: str) -> int:
    """How many keys the tenant has that were not revoked, expired ones included."""
    is_its = (api_keys.c.tenant == tenant) & api_keys.c.revoked_at.is_(None)
    query = sa.select(sa.func.count()).select_from(api_keys).where(is_its)
    return int((await connection.execute(query)).scalar_one())


async def find_key(connection: AsyncConnection, tenant: str, key_id: str) -> Row | None:
    """The tenant's key of this id."""
    query = sa.select(api_keys).where(api_keys.c.tenant == tenant, api_keys.c.key_id == key_id)
    return (await connection.execute(query)).mappings().one_or_none()


async def insert_key(
    connection: AsyncConnection,
    values: Mapping[str, Any],
    key: GeneratedKey,
    key_ring: KeyRing,
    now: float,
) -> None:
    """Keep a new key, its secret as HMAC; `now` in Unix seconds. IntegrityError: name taken."""
    made_at = datetime.fromtimestamp(now, UTC)
    row = {
        **values,
        "key_id": key.key_id,
        "secret_hmac": key_hmac(key_ring.pepper(), key.secret).hex(),
        "pepper_id": key_ring.key_id,
        "last4": key.secret[-4:],
        "scopes": [DATA_PLANE_SCOPE],
        "managed_by": BY_API,
        "created_at": made_at,
        "updated_at": made_at,
    }
    await connection.execute(sa.insert(api_keys).values(row))


async def update_key(
    connection: AsyncConnection, row: Row, values: Mapping[str, Any], now: float
) -> bool:
    """Change a key that is still as it was read; False when it is not."""
    moment = datetime.fromtimestamp(now, UTC)
    query = (
        sa.update(api_keys)
        .where(api_keys.c.key_id == row["key_id"], api_keys.c.version == row["version"])
        .values({**values, "version": row["version"] + 1, "updated_at": moment})
    )
    return (await connection.execute(query)).rowcount == 1
