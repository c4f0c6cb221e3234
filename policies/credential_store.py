"""Provider credentials in SQL, each sealed for one tenant, provider, host and name (AES-256-GCM).

Called by the admin API, which shows only what `METADATA` names, and by the snapshot builder, which
opens them. "" is the tenant of the operator's own.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import ConfigError
from config.secrets import KeyRing
from policies.sealing import DataKey, find_or_make_data_key, read_data_keys
from storage.tables import BY_API, credentials, tenant_keys

METADATA = (
    "tenant", "name", "provider", "host", "last4", "version", "created_at", "rotated_at",
    "updated_at",
)  # fmt: skip
LEAST_CHARACTERS_TO_SHOW = 16  # of a shorter secret four would be too much
_COLUMNS = [credentials.c[name] for name in METADATA]
_log = logging.getLogger(__name__)

Row = sa.RowMapping


@dataclass(frozen=True, slots=True)
class OpenCredential:
    """A credential in clear, for the snapshot alone; `secret` "" when it could not be opened."""

    tenant: str
    name: str
    provider: str
    host: str
    secret: str = field(repr=False)


class DataKeyRaceError(Exception):
    """The data key was rotated at the same moment: repeat the change."""


async def list_credentials(
    connection: AsyncConnection, tenant: str, after: str, most: int
) -> list[Row]:
    """Metadata of a tenant's credentials by name, from the first one behind `after`."""
    query = (
        sa.select(*_COLUMNS)
        .where(credentials.c.tenant == tenant, credentials.c.name > after)
        .order_by(credentials.c.name)
        .limit(most)
    )
    return list((await connection.execute(query)).mappings().all())


async def find_credential(connection: AsyncConnection, tenant: str, name: str) -> Row | None:
    """Metadata of one credential."""
    query = sa.select(*_COLUMNS).where(_is(tenant, name))
    return (await connection.execute(query)).mappings().one_or_none()


async def find_bound(
    connection: AsyncConnection, tenant: str, provider: str, host: str
) -> list[str]:
    """Names of the tenant's credentials for this provider and host."""
    query = sa.select(credentials.c.name).where(
        credentials.c.tenant == tenant,
        credentials.c.provider == provider,
        credentials.c.host == host,
    )
    return list((await connection.execute(query.order_by(credentials.c.name))).scalars())


async def count_credentials(connection: AsyncConnection, tenant: str) -> int:
    """How many the tenant has."""
    query = sa.select(sa.func.count()).where(credentials.c.tenant == tenant)
    return int((await connection.execute(query)).scalar_one())


async def insert_credential(
    connection: AsyncConnection,
    values: Mapping[str, str],
    secret: str,
    key_ring: KeyRing,
    now: float,
) -> None:
    """Seal and store; `values` are tenant, provider, host and name. IntegrityError: name taken."""
    data_key = await find_or_make_data_key(connection, values["tenant"], key_ring, now)
    moment = datetime.fromtimestamp(now, UTC)
    row = {
        **values,
        **_sealed(values, secret, data_key),
        "created_at": moment,
        "updated_at": moment,
        "managed_by": BY_API,
    }
    await connection.execute(sa.insert(credentials).values(row))
    await _require(connection, data_key)


async def replace_secret(
    connection: AsyncConnection, row: Row, secret: str, key_ring: KeyRing, now: float
) -> bool:
    """Store another secret in place of the one of `row`; False when that changed meanwhile."""
    data_key = await find_or_make_data_key(connection, row["tenant"], key_ring, now)
    moment = datetime.fromtimestamp(now, UTC)
    changes = {
        **_sealed(row, secret, data_key),
        "rotated_at": moment,
        "updated_at": moment,
        "version": row["version"] + 1,
    }
    query = sa.update(credentials).where(
        _is(row["tenant"], row["name"]), credentials.c.version == row["version"]
    )
    is_done = (await connection.execute(query.values(changes))).rowcount == 1
    await _require(connection, data_key)
    return is_done


async def delete_credential(connection: AsyncConnection, row: Row) -> bool:
    """Remove the credential of `row`; False when it changed meanwhile."""
    query = sa.delete(credentials).where(
        _is(row["tenant"], row["name"]), credentials.c.version == row["version"]
    )
    return (await connection.execute(query)).rowcount == 1


async def open_credentials(connection: AsyncConnection, key_ring: KeyRing) -> list[OpenCredential]:
    """All of them, for the snapshot.

    One that cannot be opened has no secret: its calls are refused, and never fall to another key.
    """
    data_keys = await read_data_keys(connection, key_ring)
    query = sa.select(credentials).order_by(credentials.c.tenant, credentials.c.name)
    rows = (await connection.execute(query)).mappings().all()
    return [_open(row, data_keys) for row in rows]


def _open(row: Row, data_keys: Mapping[tuple[str, str], DataKey]) -> OpenCredential:
    secret = ""
    data_key = data_keys.get((row["tenant"], row["data_key_id"]))
    try:
        if data_key is None:
            raise ConfigError(f"data key {row['data_key_id']} cannot be opened", "")
        secret = data_key.unseal(row["sealed"], place_of(row)).decode()
    except ConfigError as error:
        owner = row["tenant"] or "the operator"
        _log.error("credential %s of %s is left without its key: %s", row["name"], owner, error)
    return OpenCredential(row["tenant"], row["name"], row["provider"], row["host"], secret)


def place_of(row: Mapping[str, Any] | Row) -> tuple[str, str, str]:
    """What a secret is bound to beside its tenant and data key: nowhere else does it open."""
    return row["provider"], row["host"], row["name"]


def _sealed(row: Mapping[str, Any] | Row, secret: str, data_key: DataKey) -> dict[str, Any]:
    return {
        "data_key_id": data_key.data_key_id,
        "sealed": data_key.seal(secret.encode(), place_of(row)),
        "last4": secret[-4:] if len(secret) >= LEAST_CHARACTERS_TO_SHOW else "",
    }


def _is(tenant: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(credentials.c.tenant == tenant, credentials.c.name == name)


async def _require(connection: AsyncConnection, data_key: DataKey) -> None:
    """Now that we write, nobody can take the data key away; had one done so, start over."""
    query = sa.select(tenant_keys.c.data_key_id).where(
        tenant_keys.c.tenant == data_key.tenant,
        tenant_keys.c.data_key_id == data_key.data_key_id,
    )
    if (await connection.execute(query)).scalar_one_or_none() is None:
        raise DataKeyRaceError(data_key.data_key_id)
