"""Members in SQL: who is what to a tenant. Used by the routes of members and invitations."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.permissions import Role
from storage.tables import members, users

Row = sa.RowMapping


def _select() -> sa.Select[Any]:
    return sa.select(members, users.c.email, users.c.display_name, users.c.last_login_at).join(
        users, users.c.user_id == members.c.user_id
    )


async def list_members(
    connection: AsyncConnection, tenant: str, after: str, most: int
) -> list[Row]:
    """A tenant's members by user id, from the first one behind `after`."""
    query = _select().where(members.c.tenant == tenant, members.c.user_id > after)
    found = await connection.execute(query.order_by(members.c.user_id).limit(most))
    return list(found.mappings().all())


async def find_member(connection: AsyncConnection, tenant: str, user_id: str) -> Row | None:
    """The member, with the person's address and name."""
    query = _select().where(members.c.tenant == tenant, members.c.user_id == user_id)
    found: Row | None = (await connection.execute(query)).mappings().one_or_none()
    return found


async def change_role(
    connection: AsyncConnection, tenant: str, user_id: str, version: int, role: Role
) -> bool:
    """False when the member has another version by now."""
    query = sa.update(members).where(_is(tenant, user_id), members.c.version == version)
    done = await connection.execute(query.values(role=role.value, version=version + 1))
    return done.rowcount == 1


async def remove_member(
    connection: AsyncConnection, tenant: str, user_id: str, version: int
) -> bool:
    """False when the member has another version by now."""
    query = sa.delete(members).where(_is(tenant, user_id), members.c.version == version)
    return (await connection.execute(query)).rowcount == 1


async def has_other_owner(connection: AsyncConnection, tenant: str, user_id: str) -> bool:
    """Whether somebody else owns the tenant too.

    All its owners are written, unchanged, and so locked until the transaction ends: two who leave
    at the same moment do not each count on the other. A read alone locks nothing in SQLite.
    """
    are_owners = (members.c.tenant == tenant, members.c.role == Role.owner.value)
    lock = sa.update(members).where(*are_owners).values(version=members.c.version)
    await connection.execute(lock)
    query = sa.select(members.c.user_id).where(*are_owners)
    owners = (await connection.execute(query)).scalars().all()
    return any(owner != user_id for owner in owners)


def _is(tenant: str, user_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(members.c.tenant == tenant, members.c.user_id == user_id)
