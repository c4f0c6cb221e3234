"""What outlives a master key, in SQL: sealed under the current one, written by a rotation alone.

Read by the snapshot builder, which hands it to the proxies in the sealed snapshot.
"""

import base64

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from config.secrets import NOTHING_KEPT, KeptKeys, KeyRing
from policies.snapshot import dump_kept_keys, load_kept_keys
from storage.tables import kv_state

ROW = "kept-keys"
PURPOSE = "kept-keys"


async def read_kept_keys(connection: AsyncConnection, key_ring: KeyRing) -> KeptKeys:
    """What was kept; nothing before the first rotation. ConfigError when it cannot be opened."""
    sealed = await read_sealed(connection)
    if sealed is None:
        return NOTHING_KEPT
    return load_kept_keys(orjson.loads(key_ring.unseal(PURPOSE, sealed)))


async def find_kept_keys(connection: AsyncConnection, key_ring: KeyRing) -> KeptKeys:
    """As `read_kept_keys`; where nothing was kept yet, it records which master key is the base."""
    kept = await read_kept_keys(connection, key_ring)
    if not kept.base:
        kept = KeptKeys(key_ring.base)
        await write_kept_keys(connection, kept, key_ring)
    return kept


async def read_sealed(connection: AsyncConnection) -> bytes | None:
    """The row as it is stored."""
    query = sa.select(kv_state.c.value).where(kv_state.c.name == ROW)
    text = (await connection.execute(query)).scalar_one_or_none()
    return base64.b64decode(text) if text is not None else None


async def write_kept_keys(connection: AsyncConnection, kept: KeptKeys, key_ring: KeyRing) -> None:
    """Replace what was kept, sealed under the current master key."""
    sealed = key_ring.seal(PURPOSE, orjson.dumps(dump_kept_keys(kept)))
    text = base64.b64encode(sealed).decode()
    changed = await connection.execute(
        sa.update(kv_state).where(kv_state.c.name == ROW).values(value=text)
    )
    if changed.rowcount == 0:
        await connection.execute(sa.insert(kv_state).values(name=ROW, value=text))
