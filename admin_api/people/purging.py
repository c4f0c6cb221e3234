"""Forgets what expired, at each login: nothing about people who came and went grows for ever."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.people.moments import moment_of
from storage.tables import logins, refresh_tokens, sessions

KEPT = timedelta(days=1)  # a refresh token that comes back the day after is still said to be old


async def purge_expired(connection: AsyncConnection, now: float) -> None:
    """Delete logins, sessions and refresh tokens that expired more than a day ago."""
    before = moment_of(now) - KEPT
    for table in (logins, sessions, refresh_tokens):
        await connection.execute(sa.delete(table).where(table.c.expires_at < before))
