"""All tenants, projects and keys in SQL, read at once for a snapshot, and the writes that follow.

Used by the snapshot builder, in one transaction. What is worked out in between needs no SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import ConfigError
from storage.tables import api_keys, projects, tenants

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
    found_tenants = (await connection.execute(sa.select(tenants))).mappings().all()
    found_projects = (await connection.execute(sa.select(projects))).mappings().all()
    query = sa.select(api_keys).where(api_keys.c.revoked_at.is_(None))
    found_keys = (await connection.execute(query)).mappings().all()
    return StoredState(
        {row["name"]: row for row in found_tenants},
        {(row["tenant"], row["name"]): row for row in found_projects},
        {row["key_id"]: row for row in found_keys},
    )


async def write_state(connection: AsyncConnection, writes: Writes) -> None:
    """Write in order: whoever owns a key comes before it, and a name that is given on is free
    before another key takes it. ConfigError.
    """
    owners = [each for each in writes.inserts if each[0] is not api_keys]
    keys = [each for each in writes.inserts if each[0] is api_keys]
    try:
        for table, row in owners:
            await connection.execute(sa.insert(table).values(row))
        for table, where, values in writes.updates:
            conditions = [table.c[name] == value for name, value in where.items()]
            await connection.execute(sa.update(table).where(*conditions).values(values))
        for table, row in keys:
            await connection.execute(sa.insert(table).values(row))
    except IntegrityError:
        # The driver's own text quotes the row.
        raise ConfigError(
            "a key of apex.yaml has the id or the name of one that was made or revoked elsewhere",
            "give it another secret or another name, or leave the secret out to have one made",
        ) from None
