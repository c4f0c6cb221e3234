"""The keys that sign people's API tokens: made when needed, changed by age or on demand.

A key that is followed by a newer one still verifies until the last token it signed has expired;
a revoked one does not. Private keys are sealed under the master key.
"""

from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from admin_api.people import opaque
from admin_api.people.moments import aware, moment_of
from admin_api.people.state import People
from admin_api.people.tokens import LEEWAY_S, describe_key
from config.errors import ConfigError
from storage.tables import signing_keys

PURPOSE = "tokens"
Row = sa.RowMapping


async def key_to_sign(engine: AsyncEngine, people: People) -> tuple[str, Ed25519PrivateKey]:
    """(id, key): the newest, or a new one where that is too old or cannot be opened."""
    async with engine.connect() as connection:
        found = await _read_newest(connection)
    oldest = moment_of(people.clock.now() - people.identity.signing_key_s)
    if found is not None and aware(found["created_at"]) > oldest:
        key = _open(people, found)
        if key is not None:
            return found["key_id"], key
    async with engine.begin() as connection:
        return await rotate(connection, people)


async def rotate(
    connection: AsyncConnection, people: People, *, is_revoking: bool = False
) -> tuple[str, Ed25519PrivateKey]:
    """Sign with a new key from now on; `is_revoking`: what the others signed is void at once."""
    now = people.clock.now()
    overlap_s = 0 if is_revoking else people.identity.access_token_s + 2 * LEEWAY_S
    retired_at = moment_of(now + overlap_s)
    lasting = sa.or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > retired_at)
    await connection.execute(
        sa.update(signing_keys)
        .where(signing_keys.c.purpose == PURPOSE, lasting)
        .values(retired_at=retired_at)
    )
    key_id, key = opaque.make_id("sk_"), Ed25519PrivateKey.generate()
    row = {
        "key_id": key_id,
        "purpose": PURPOSE,
        "public_key": _write_public(key),
        "private_key_sealed": people.key_ring.seal(_purpose_of(key_id), key.private_bytes_raw()),
        "created_at": moment_of(now),
    }
    await connection.execute(sa.insert(signing_keys).values(row))
    return key_id, key


async def find_public_key(
    engine: AsyncEngine, people: People, key_id: str
) -> Ed25519PublicKey | None:
    """The key of this id while it verifies."""
    for row in await _read_valid(engine, people, key_id):
        return _read_public(row["public_key"])
    return None


async def describe_keys(engine: AsyncEngine, people: People) -> dict[str, Any]:
    """The JWK set of all keys that verify now, for whoever else checks our tokens."""
    rows = await _read_valid(engine, people)
    return {"keys": [describe_key(row["key_id"], _read_public(row["public_key"])) for row in rows]}


async def _read_newest(connection: AsyncConnection) -> Row | None:
    query = (
        sa.select(signing_keys)
        .where(signing_keys.c.purpose == PURPOSE, signing_keys.c.retired_at.is_(None))
        .order_by(signing_keys.c.created_at.desc())
        .limit(1)
    )
    return (await connection.execute(query)).mappings().one_or_none()


async def _read_valid(engine: AsyncEngine, people: People, key_id: str | None = None) -> list[Row]:
    now = moment_of(people.clock.now())
    query = sa.select(signing_keys).where(
        signing_keys.c.purpose == PURPOSE,
        sa.or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > now),
    )
    if key_id is not None:
        query = query.where(signing_keys.c.key_id == key_id)
    async with engine.connect() as connection:
        found = await connection.execute(query.order_by(signing_keys.c.created_at))
        return list(found.mappings().all())


def _open(people: People, row: Row) -> Ed25519PrivateKey | None:
    """A key sealed under a master key that is gone is followed by a new one."""
    try:
        raw = people.key_ring.unseal(_purpose_of(row["key_id"]), row["private_key_sealed"])
    except ConfigError:
        return None
    return Ed25519PrivateKey.from_private_bytes(raw)


def _purpose_of(key_id: str) -> str:
    return f"signing key {key_id}"


def _write_public(key: Ed25519PrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def _read_public(pem: str) -> Ed25519PublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, Ed25519PublicKey)
    return key
