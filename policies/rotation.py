"""Moves everything that is sealed in SQL from older master keys to the current one, bit by bit.

Called by the admin API, and by the verb rotate-master-key where no gateway runs. Every step is a
transaction of its own, so that it can end anywhere and be taken up again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import ConfigError
from config.secrets import KeyRing, seal_header, sealed_under
from policies.credential_store import place_of
from policies.kept_keys import read_kept_keys, read_sealed, write_kept_keys
from policies.sealing import DataKey, find_or_make_data_key, open_data_key, reseal_data_key
from storage.tables import (
    api_keys,
    credentials,
    idempotent_calls,
    logins,
    signing_keys,
    tenant_keys,
    tenants,
    users,
)

MOST_TENANTS = 20  # of a step
MOST_ROWS = 200
MOST_LOOKED_AT = 2000  # what cannot be opened stands in the way of none behind it


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column that is sealed under the master key itself, and for which purpose."""

    column: "sa.Column[bytes]"
    keys: tuple[str, ...]
    purpose: Callable[[Mapping[str, str]], str]


# Whoever seals a column adds it here, with the purpose it was sealed for.
SEALED_COLUMNS = (
    SealedColumn(users.c.totp_secret_sealed, ("user_id",), lambda row: f"totp {row['user_id']}"),
    SealedColumn(
        signing_keys.c.private_key_sealed, ("key_id",), lambda row: f"signing key {row['key_id']}"
    ),
    SealedColumn(logins.c.sealed, ("state_hash",), lambda _: "login"),
    SealedColumn(
        idempotent_calls.c.answer_sealed, ("caller", "idempotency_key"),
        lambda _: "idempotent-answer",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is still sealed under another master key than the current one."""

    kept_keys: int
    data_keys: int
    rows: int

    @property
    def total(self) -> int:
        return self.kept_keys + self.data_keys + self.rows


async def count_remaining(connection: AsyncConnection, key_ring: KeyRing) -> Remaining:
    """What is left to do; nothing when the older master keys are needed no more."""
    stale = sa.select(sa.func.count()).select_from(tenant_keys)
    stale = stale.where(tenant_keys.c.master_key_id != key_ring.key_id)
    rows = 0
    for each in SEALED_COLUMNS:
        query = sa.select(sa.func.count()).select_from(each.column.table)
        rows += (await connection.execute(query.where(_is_stale(each, key_ring)))).scalar_one()
    return Remaining(
        kept_keys=int(await _is_kept_stale(connection, key_ring)),
        data_keys=(await connection.execute(stale)).scalar_one(),
        rows=rows,
    )


async def rotate_some(
    connection: AsyncConnection, key_ring: KeyRing, now: float, most_rows: int = MOST_ROWS
) -> int:
    """One step, in the transaction of `connection`; how much was done, 0 when no more can be."""
    if await _is_kept_stale(connection, key_ring):
        await _keep(connection, key_ring, now)
        return 1
    done = await _renew_data_keys(connection, key_ring, now)
    for each in SEALED_COLUMNS:
        if done < most_rows:
            done += await _reseal_rows(connection, each, key_ring, most_rows - done)
    return done


async def _is_kept_stale(connection: AsyncConnection, key_ring: KeyRing) -> bool:
    sealed = await read_sealed(connection)
    if sealed is None or sealed_under(sealed) != key_ring.key_id:
        return True
    return (await read_kept_keys(connection, key_ring)).base != key_ring.key_id


async def _keep(connection: AsyncConnection, key_ring: KeyRing, now: float) -> None:
    """Derive what has to stay while the older master keys are still there to derive it from."""
    ring = key_ring.with_kept(await read_kept_keys(connection, key_ring))
    peppers = set((await connection.execute(sa.select(api_keys.c.pepper_id).distinct())).scalars())
    names = (await connection.execute(sa.select(tenants.c.name))).scalars().all()
    epoch = datetime.fromtimestamp(now, UTC).strftime("%Y-%m")
    known = sorted(each for each in peppers if ring.knows_pepper(each) and each != ring.key_id)
    await write_kept_keys(connection, ring.keep(known, names, epoch), ring)


async def _renew_data_keys(connection: AsyncConnection, key_ring: KeyRing, now: float) -> int:
    """New data keys for some tenants: whoever had the old master key may have read the old ones."""
    stale = tenant_keys.c.master_key_id.in_(key_ring.key_ids[1:])
    query = sa.select(tenant_keys.c.tenant).where(stale).distinct().limit(MOST_TENANTS)
    done = 0
    for tenant in (await connection.execute(query.order_by(tenant_keys.c.tenant))).scalars().all():
        query_keys = sa.select(tenant_keys).where(stale, tenant_keys.c.tenant == tenant)
        rows = (await connection.execute(query_keys.with_for_update())).mappings().all()
        old = [opened for row in rows if (opened := _try_to_open(row, key_ring)) is not None]
        await _renew(connection, tenant, old, key_ring, now)
        done += len(old)
    return done


def _try_to_open(row: sa.RowMapping, key_ring: KeyRing) -> DataKey | None:
    try:
        return open_data_key(row, key_ring)
    except ConfigError:
        return None  # its master key is not set, or it is damaged: what it sealed is lost


async def _renew(
    connection: AsyncConnection, tenant: str, old: list[DataKey], key_ring: KeyRing, now: float
) -> None:
    for data_key in old:
        await connection.execute(
            sa.update(tenant_keys)
            .where(_is(data_key))
            .values(retired_at=datetime.fromtimestamp(now, UTC))
        )
    for data_key in old:
        query = sa.select(credentials).where(
            credentials.c.tenant == tenant, credentials.c.data_key_id == data_key.data_key_id
        )
        rows = (await connection.execute(query)).mappings().all()
        if rows:
            new = await find_or_make_data_key(connection, tenant, key_ring, now)
            for row in rows:
                await _reencrypt(connection, row, data_key, new)
        await _retire(connection, data_key, key_ring)


async def _reencrypt(
    connection: AsyncConnection, row: sa.RowMapping, old: DataKey, new: DataKey
) -> None:
    place = place_of(row)
    try:
        secret = old.unseal(row["sealed"], place)
    except ConfigError:
        return  # damaged as it was before
    await connection.execute(
        sa.update(credentials)
        .where(
            credentials.c.tenant == row["tenant"],
            credentials.c.name == row["name"],
            credentials.c.sealed == row["sealed"],  # or it was replaced meanwhile
        )
        .values(data_key_id=new.data_key_id, sealed=new.seal(secret, place))
    )


async def _retire(connection: AsyncConnection, data_key: DataKey, key_ring: KeyRing) -> None:
    """Remove a data key that seals nothing any more; else it lives on under the new master key."""
    still = sa.exists().where(
        credentials.c.tenant == data_key.tenant, credentials.c.data_key_id == data_key.data_key_id
    )
    await connection.execute(sa.delete(tenant_keys).where(_is(data_key), ~still))
    await reseal_data_key(connection, data_key, key_ring)


def _is(data_key: DataKey) -> sa.ColumnElement[bool]:
    return sa.and_(
        tenant_keys.c.tenant == data_key.tenant, tenant_keys.c.data_key_id == data_key.data_key_id
    )


def _is_stale(each: SealedColumn, key_ring: KeyRing) -> sa.ColumnElement[bool]:
    header = seal_header(key_ring.key_id)
    begins = sa.func.substr(each.column, 1, len(header), type_=sa.LargeBinary())
    return sa.and_(each.column.is_not(None), begins != header)


async def _reseal_rows(
    connection: AsyncConnection, each: SealedColumn, key_ring: KeyRing, most: int
) -> int:
    table = each.column.table
    names = [table.c[name] for name in each.keys]
    query = sa.select(*names, each.column.label("sealed")).where(_is_stale(each, key_ring))
    rows = (await connection.execute(query.order_by(*names).limit(MOST_LOOKED_AT))).mappings().all()
    done = 0
    for row in rows:
        if done >= most:
            break
        purpose = each.purpose({name: row[name] for name in each.keys})
        try:
            sealed = key_ring.seal(purpose, key_ring.unseal(purpose, row["sealed"]))
        except ConfigError:
            continue  # damaged, or of a master key that is not set
        at_row = sa.and_(*(table.c[name] == row[name] for name in each.keys))
        # Or it was replaced meanwhile, and that is sealed under the current key already.
        query_row = sa.update(table).where(at_row, each.column == row["sealed"])
        await connection.execute(query_row.values({each.column.name: sealed}))
        done += 1
    return done
