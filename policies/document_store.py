"""Rows that are a name and a document, in SQL: upstreams, models and price overrides.

Called by the admin API, and by the snapshot builder, which records here what apex.yaml declares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.tables import BY_API, BY_FILE, models, price_overrides, upstreams

Row = sa.RowMapping
Name = tuple[str, ...]  # the values of the key columns


@dataclass(frozen=True, slots=True)
class DocumentTable:
    """One such table; `keys` are its key columns, of which the last one tells items of a list."""

    table: sa.Table
    keys: tuple[str, ...]

    def is_at(self, name: Name) -> sa.ColumnElement[bool]:
        pairs = zip(self.keys, name, strict=True)
        return sa.and_(*(self.table.c[key] == value for key, value in pairs))

    def name_of(self, row: Row) -> Name:
        return tuple(row[key] for key in self.keys)


UPSTREAMS = DocumentTable(upstreams, ("tenant", "name"))
MODELS = DocumentTable(models, ("name",))
PRICES = DocumentTable(price_overrides, ("upstream", "model"))


async def list_documents(
    connection: AsyncConnection, where: DocumentTable, after: Name, most: int
) -> list[Row]:
    """Rows in the order of their names, from the first one behind `after`, one value a key."""
    keys = [where.table.c[key] for key in where.keys]
    query = sa.select(where.table).where(sa.tuple_(*keys) > after).order_by(*keys).limit(most)
    return list((await connection.execute(query)).mappings().all())


async def list_upstreams(
    connection: AsyncConnection, tenant: str, after: str, most: int
) -> list[Row]:
    """A tenant's upstreams by name, from the first one behind `after`; "": those for all."""
    query = (
        sa.select(upstreams)
        .where(upstreams.c.tenant == tenant, upstreams.c.name > after)
        .order_by(upstreams.c.name)
        .limit(most)
    )
    return list((await connection.execute(query)).mappings().all())


async def count_upstreams(connection: AsyncConnection, tenant: str) -> int:
    """How many the tenant has."""
    query = sa.select(sa.func.count()).where(upstreams.c.tenant == tenant)
    return int((await connection.execute(query)).scalar_one())


async def read_documents(connection: AsyncConnection, where: DocumentTable) -> list[Row]:
    """All rows, in the order of their names."""
    keys = [where.table.c[key] for key in where.keys]
    query = sa.select(where.table).order_by(*keys)
    return list((await connection.execute(query)).mappings().all())


async def find_document(
    connection: AsyncConnection, where: DocumentTable, name: Name
) -> Row | None:
    """The row of this name."""
    query = sa.select(where.table).where(where.is_at(name))
    return (await connection.execute(query)).mappings().one_or_none()


async def insert_document(
    connection: AsyncConnection,
    where: DocumentTable,
    name: Name,
    values: Mapping[str, Any],
    now: float,
    managed_by: str = BY_API,
) -> None:
    """Make a row; `now` in Unix seconds. IntegrityError when the name is taken."""
    moment = datetime.fromtimestamp(now, UTC)
    row = {
        **dict(zip(where.keys, name, strict=True)),
        **values,
        "created_at": moment,
        "updated_at": moment,
        "managed_by": managed_by,
    }
    await connection.execute(sa.insert(where.table).values(row))


async def replace_document(
    connection: AsyncConnection,
    where: DocumentTable,
    row: Row,
    values: Mapping[str, Any],
    now: float,
) -> bool:
    """Change the row; False when it has another version by now."""
    query = (
        sa.update(where.table)
        .where(where.is_at(where.name_of(row)), where.table.c.version == row["version"])
        .values({
            **values,
            "version": row["version"] + 1,
            "updated_at": datetime.fromtimestamp(now, UTC),
        })
    )  # fmt: skip
    return (await connection.execute(query)).rowcount == 1


async def delete_document(connection: AsyncConnection, where: DocumentTable, row: Row) -> bool:
    """Remove the row; False when it has another version by now."""
    query = sa.delete(where.table).where(
        where.is_at(where.name_of(row)), where.table.c.version == row["version"]
    )
    return (await connection.execute(query)).rowcount == 1


async def record_declared(
    connection: AsyncConnection,
    where: DocumentTable,
    declared: Mapping[Name, Mapping[str, Any]],
    now: float,
) -> None:
    """Make the rows of apex.yaml what it says; a name it declares is taken from the API."""
    rows = {where.name_of(row): row for row in await read_documents(connection, where)}
    for name, values in declared.items():
        row = rows.get(name)
        if row is None:
            await insert_document(connection, where, name, values, now, BY_FILE)
        elif row["managed_by"] != BY_FILE or any(row[each] != values[each] for each in values):
            taken = {**values, "managed_by": BY_FILE}
            await replace_document(connection, where, row, taken, now)
    for name, row in rows.items():
        if row["managed_by"] == BY_FILE and name not in declared:
            await delete_document(connection, where, row)
