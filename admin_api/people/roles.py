"""What a person is to which tenants, read from SQL at every call: a change acts at once."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from admin_api.permissions import Actor, Role
from storage.tables import members, tenants, users

ROLES = frozenset(Role)


async def read_actor(engine: AsyncEngine, user_id: str, only: str | None = None) -> Actor | None:
    """The person as a caller, in the tenant `only` where it is given; None: there is none.

    A role nobody knows any more gives nothing. Archived tenants give nothing either.
    """
    is_open = sa.and_(tenants.c.name == members.c.tenant, tenants.c.archived_at.is_(None))
    query = (
        sa.select(users.c.user_id, tenants.c.name, members.c.role)
        .outerjoin(members, members.c.user_id == users.c.user_id)
        .outerjoin(tenants, is_open)
        .where(users.c.user_id == user_id, users.c.disabled_at.is_(None))
    )
    async with engine.connect() as connection:
        rows = (await connection.execute(query)).mappings().all()
    if not rows:
        return None
    roles = {
        row["name"]: Role(row["role"])
        for row in rows
        if row["name"] is not None and row["role"] in ROLES and only in {None, row["name"]}
    }
    return Actor(f"user:{user_id}", roles=roles, user_id=user_id)
