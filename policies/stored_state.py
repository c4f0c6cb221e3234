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
MOST_NAMED = 500  # in one query; with more of them all are read
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


class StateReader:
    """Reads everything a snapshot may be made of, and remembers the keys between two builds.

    A key is read again when it has another version: whoever changes one has to raise it.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Row] = {}

    async def read(self, connection: AsyncConnection) -> StoredState:
        """The rows of now; those that did not change are the very objects of the last time."""
        found_tenants = await _read(connection, sa.select(tenants))
        found_projects = await _read(connection, sa.select(projects))
        return StoredState(
            {row["name"]: row for row in found_tenants},
            {(row["tenant"], row["name"]): row for row in found_projects},
            await self._read_keys(connection),
        )

    def find_key(self, key_id: str) -> Row | None:
        """A key that was not revoked when everything was last read."""
        return self._keys.get(key_id)

    async def _read_keys(self, connection: AsyncConnection) -> dict[str, Row]:
        is_there = api_keys.c.revoked_at.is_(None)
        query = sa.select(api_keys.c.key_id, api_keys.c.version).where(is_there)
        versions = {row[0]: row[1] for row in await connection.execute(query)}
        kept = {
            key_id: row
            for key_id, row in self._keys.items()
            if versions.get(key_id) == row["version"]
        }
        other = [key_id for key_id in versions if key_id not in kept]
        is_one_of = api_keys.c.key_id.in_(other) if len(other) <= MOST_NAMED else sa.true()
        rows = await _read(connection, sa.select(api_keys).where(is_there, is_one_of))
        self._keys = kept | {row["key_id"]: row for row in rows if row["key_id"] not in kept}
        return dict(self._keys)


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
