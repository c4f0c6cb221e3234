"""The key that signs snapshots, in SQL, sealed under the master key; made when there is none.

Used by the control process alone: the proxies reach no SQL.
"""

import hashlib
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import ConfigError
from config.secrets import KeyRing
from policies.snapshot_signing import SnapshotSigner
from storage.tables import signing_keys

PURPOSE = "snapshots"
SEAL_PURPOSE = "snapshot-signing-key"


async def load_signer(connection: AsyncConnection, key_ring: KeyRing, now: float) -> SnapshotSigner:
    """The key in use; `now` in Unix seconds. ConfigError when it cannot be opened."""
    query = (
        sa.select(signing_keys)
        .where(signing_keys.c.purpose == PURPOSE, signing_keys.c.retired_at.is_(None))
        .order_by(signing_keys.c.created_at.desc(), signing_keys.c.key_id)
        .limit(1)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return await _make(connection, key_ring, now)
    try:
        return SnapshotSigner.load(key_ring.unseal(SEAL_PURPOSE, row["private_key_sealed"]))
    except ValueError:
        hint = "delete its row of the table signing_keys: the next start makes another"
        raise ConfigError("the key that signs snapshots is damaged", hint) from None


async def _make(connection: AsyncConnection, key_ring: KeyRing, now: float) -> SnapshotSigner:
    signer = SnapshotSigner.make()
    row = {
        "key_id": hashlib.sha256(signer.public_key).hexdigest()[:16],
        "purpose": PURPOSE,
        "public_key": signer.public_pem(),
        "private_key_sealed": key_ring.seal(SEAL_PURPOSE, signer.private_bytes()),
        "created_at": datetime.fromtimestamp(now, UTC),
    }
    await connection.execute(sa.insert(signing_keys).values(row))
    return signer
