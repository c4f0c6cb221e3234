"""Tenants in SQL: listed, found, made and changed by the admin API.

The snapshot builder joins them with those of apex.yaml; policies.reconciling records the latter.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.tables import BY_API, tenants

Row = sa.RowMapping


async def list_tenants(
    connection: AsyncConnection, after: str, most: int, only: frozenset[str] | None = None
) -> list[Row]:
    """Tenants by name, from the first one behind `after`; `only` those, where it is given."""
    query = sa.select(tenants).where(tenants.c.name > after).order_by(tenants.c.name).limit(most)
    if only is not None:
        query = query.where(tenants.c.name.in_(only))
    return list((await connection.execute(query)).mappings().all())


async def find_tenant(connection: AsyncConnection, name: str) -> Row | None:
    """The tenant of this name."""
    query = sa.select(tenants).where(tenants.c.name == name)
    return (await connection.execute(query)).mappings().one_or_none()


async def insert_tenant(connection: AsyncConnection, values: Mapping[str, Any], now: float) -> None:
    """Make a tenant; `now` in Unix seconds. IntegrityError when the name is taken."""
    made_at = datetime.fromtimestamp(now, UTC)
    row = {**values, "created_at": made_at, "updated_at": made_at, "managed_by": BY_API}
    await connection.execute(sa.insert(tenants).values(row))


async def update_tenant(
    connection: AsyncConnection, name: str, version: int, values: Mapping[str, Any], now: float
) -> bool:
    """Change a tenant that still has this version; False when it has another by now."""
    moment = datetime.fromtimestamp(now, UTC)
    query = (
        sa.update(tenants)
        .where(tenants.c.name == name, tenants.c.version == version)
        .values({**values, "version": version + 1, "updated_at": moment})
    )
    return (await connection.execute(query)).rowcount == 1
