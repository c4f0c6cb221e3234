"""Projects in SQL: listed, found, made and changed; a project is a tenant's, never found without.

Used by the admin API and the snapshot builder.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.tables import BY_API, projects

Row = sa.RowMapping


async def list_projects(
    connection: AsyncConnection, tenant: str, after: str, most: int
) -> list[Row]:
    """The tenant's projects by name, from the first one behind `after`."""
    query = (
        sa.select(projects)
        .where(projects.c.tenant == tenant, projects.c.name > after)
        .order_by(projects.c.name)
        .limit(most)
    )
    return list((await connection.execute(query)).mappings().all())


async def count_projects(connection: AsyncConnection, tenant: str) -> int:
    """How many projects the tenant has, archived ones included."""
    query = sa.select(sa.func.count()).select_from(projects).where(projects.c.tenant == tenant)
    return int((await connection.execute(query)).scalar_one())


async def find_project(connection: AsyncConnection, tenant: str, name: str) -> Row | None:
    """The tenant's project of this name."""
    query = sa.select(projects).where(projects.c.tenant == tenant, projects.c.name == name)
    return (await connection.execute(query)).mappings().one_or_none()


async def insert_project(
    connection: AsyncConnection, values: Mapping[str, Any], now: float
) -> None:
    """Make a project; `now` in Unix seconds. IntegrityError when the name is taken."""
    made_at = datetime.fromtimestamp(now, UTC)
    row = {"managed_by": BY_API, **values, "created_at": made_at, "updated_at": made_at}
    await connection.execute(sa.insert(projects).values(row))


async def update_project(
    connection: AsyncConnection, row: Row, values: Mapping[str, Any], now: float
) -> bool:
    """Change a project that is still as it was read; False when it is not."""
    moment = datetime.fromtimestamp(now, UTC)
    query = (
        sa.update(projects)
        .where(
            projects.c.tenant == row["tenant"],
            projects.c.name == row["name"],
            projects.c.version == row["version"],
        )
        .values({**values, "version": row["version"] + 1, "updated_at": moment})
    )
    return (await connection.execute(query)).rowcount == 1
