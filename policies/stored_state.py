"""All tenants, projects and keys in SQL, read at once for a snapshot, and the writes that follow.

Used by the snapshot builder, in one transaction. What is worked out in between needs no SQL.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import ConfigError
from storage.tables import api_keys, projects, tenants

ROWS_AT_ONCE = 250
Row = Mapping[Any, Any]  # by column name
Keys = dict[str, Row]  # by id


@dataclass(frozen=True, slots=True)
class StoredState:
    """Rows as they were read; keys without those that were revoked."""

    tenants: dict[str, Row]
    projects: dict[tuple[str, str], Row]
    keys: Keys = field(repr=False)


@dataclass(slots=True)
class Writes:
    """What has to be written: whole rows, and values for the row that a condition names."""

    inserts: list[tuple[sa.Table, dict[str, Any]]] = field(default_factory=list, repr=False)
    updates: list[tuple[sa.Table, dict[str, Any], dict[str, Any]]] = field(
        default_factory=list, repr=False
    )


async def read_state(connection: AsyncConnection) -> StoredState:
    """Everything a snapshot may be made of."""
    found_tenants = await _read(connection, sa.select(tenants))
    found_projects = await _read(connection, sa.select(projects))
    query = sa.select(api_keys).where(api_keys.c.revoked_at.is_(None))
    found_keys = await _read(connection, query)
    return StoredState(
        {row["name"]: row for row in found_tenants},
        {(row["tenant"], row["name"]): row for row in found_projects},
        {row["key_id"]: row for row in found_keys},
    )


async def _read(connection: AsyncConnection, query: "sa.Select[Any]") -> list[dict[str, Any]]:
    """Plain dictionaries: a row of SQLAlchemy's looks every column up anew.

    Some at a time, so that whoever else waits for the loop gets a turn.
    """
    result = await connection.stream(query)
    names = tuple(result.keys())
    rows: list[dict[str, Any]] = []
    async for part in result.partitions(ROWS_AT_ONCE):
        rows += [dict(zip(names, row, strict=True)) for row in part]
        await asyncio.sleep(0)
    return rows


async def write_state(connection: AsyncConnection, writes: Writes) -> None:
    """Write in order: whoever owns a key comes before it, and a name that is given on is free
    before another key takes it. ConfigError.
    """
    try:
        await _insert(connection, writes, tenants)
        await _insert(connection, writes, projects)
        for table, where, values in writes.updates:
            conditions = [table.c[name] == value for name, value in where.items()]
            await connection.execute(sa.update(table).where(*conditions).values(values))
        await _insert(connection, writes, api_keys)
    except IntegrityError:
        # The driver's own text quotes the row.
        raise ConfigError(
            "a key of apex.yaml has the id or the name of one that was made or revoked elsewhere",
            "give it another secret or another name, or leave the secret out to have one made",
        ) from None


async def _insert(connection: AsyncConnection, writes: Writes, table: sa.Table) -> None:
    """All rows of a table in one go: a first start may bring ten thousand keys."""
    rows = [row for each, row in writes.inserts if each is table]
    if rows:
        await connection.execute(sa.insert(table), rows)
