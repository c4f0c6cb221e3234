"""Invitations in SQL: made by a member for an address, accepted once, revoked, or expired.

accounts.py accepts them; the routes make, list and revoke them.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.people import opaque
from admin_api.people.moments import moment_of
from storage.tables import invitations

Row = sa.RowMapping
PREFIX = "apex_i_"


def _is_open(now: float) -> tuple[Any, ...]:
    table = invitations.c
    return (
        table.accepted_at.is_(None),
        table.revoked_at.is_(None),
        table.expires_at > moment_of(now),
    )


async def find_open(connection: AsyncConnection, token: str, now: float) -> Row | None:
    """The invitation of a token, if it can still be accepted."""
    query = sa.select(invitations).where(
        invitations.c.token_hash == opaque.digest_of(token), *_is_open(now)
    )
    return (await connection.execute(query)).mappings().one_or_none()


async def accept(connection: AsyncConnection, invitation_id: str, now: float) -> bool:
    """Whether it was still open, and is used with this."""
    query = sa.update(invitations).where(
        invitations.c.invitation_id == invitation_id, *_is_open(now)
    )
    done = await connection.execute(query.values(accepted_at=moment_of(now)))
    return done.rowcount == 1


async def add_invitation(connection: AsyncConnection, values: dict[str, Any]) -> tuple[str, str]:
    """(id, token); the token is never to be had again."""
    invitation_id, token = opaque.make_id("inv_"), opaque.make_secret(PREFIX)
    row = {**values, "invitation_id": invitation_id, "token_hash": opaque.digest_of(token)}
    await connection.execute(sa.insert(invitations).values(row))
    return invitation_id, token


async def count_open(connection: AsyncConnection, tenant: str, now: float) -> int:
    """How many of a tenant's can still be accepted."""
    query = sa.select(sa.func.count()).where(invitations.c.tenant == tenant, *_is_open(now))
    return int((await connection.execute(query)).scalar_one())


async def find_invitation(
    connection: AsyncConnection, tenant: str, invitation_id: str
) -> Row | None:
    """The tenant's invitation of this id."""
    query = sa.select(invitations).where(
        invitations.c.tenant == tenant, invitations.c.invitation_id == invitation_id
    )
    return (await connection.execute(query)).mappings().one_or_none()


async def list_invitations(
    connection: AsyncConnection, tenant: str, after: str, most: int
) -> list[Row]:
    """A tenant's invitations by id, from the first one behind `after`."""
    query = (
        sa.select(invitations)
        .where(invitations.c.tenant == tenant, invitations.c.invitation_id > after)
        .order_by(invitations.c.invitation_id)
        .limit(most)
    )
    return list((await connection.execute(query)).mappings().all())


async def revoke(connection: AsyncConnection, invitation_id: str, now: float) -> None:
    """It opens nothing any more."""
    query = sa.update(invitations).where(
        invitations.c.invitation_id == invitation_id, *_is_open(now)
    )
    await connection.execute(query.values(revoked_at=moment_of(now)))


async def revoke_those_of(connection: AsyncConnection, tenant: str, actor: str, now: float) -> None:
    """What somebody gave while they could, and could not give any more."""
    query = sa.update(invitations).where(
        invitations.c.tenant == tenant, invitations.c.invited_by == actor, *_is_open(now)
    )
    await connection.execute(query.values(revoked_at=moment_of(now)))
