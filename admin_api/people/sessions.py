"""Sessions in SQL: made at each login, found by the cookie's hash, revoked at once.

A session's CSRF token follows from its secret, so that it can be told again, and is stored as a
hash beside it, so that both have to agree.
"""

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from admin_api.people import opaque
from admin_api.people.moments import aware, moment_of
from admin_api.people.state import People
from storage.tables import refresh_tokens, sessions, users

SEEN_EVERY_S = 60.0
ID_CHARACTERS = 32
Row = sa.RowMapping


@dataclass(frozen=True, slots=True)
class Session:
    """A session that lives, and whose it is. `is_whole`: nothing is left to prove."""

    session_hash: str
    user_id: str
    csrf_hash: str
    has_second_factor: bool
    is_whole: bool
    secret: str = field(repr=False)

    @property
    def session_id(self) -> str:
        """Names it to its owner; opens nothing."""
        return self.session_hash[:ID_CHARACTERS]

    @property
    def csrf_token(self) -> str:
        """What a changing call has to bring along, which no other site can read."""
        return csrf_of(self.secret)


def csrf_of(secret: str) -> str:
    return hmac.digest(secret.encode("utf-8", "replace"), b"csrf", "sha256").hex()


async def make_session(
    connection: AsyncConnection, people: People, user_id: str, *, has_second_factor: bool = False
) -> str:
    """A new session's secret, never one that was brought along."""
    secret, now = opaque.make_secret("apex_s_"), people.clock.now()
    row = {
        "session_hash": opaque.digest_of(secret),
        "user_id": user_id,
        "csrf_hash": opaque.digest_of(csrf_of(secret)),
        "has_second_factor": has_second_factor,
        "created_at": moment_of(now),
        "seen_at": moment_of(now),
        "expires_at": moment_of(now + people.identity.session_s),
    }
    await connection.execute(sa.insert(sessions).values(row))
    return secret


async def find_session(engine: AsyncEngine, people: People, secret: str) -> Session | None:
    """The session of a cookie, unless it is over, idle, revoked, or of a disabled person."""
    query = (
        sa.select(sessions, users.c.totp_last_step)
        .join(users, users.c.user_id == sessions.c.user_id)
        .where(
            sessions.c.session_hash == opaque.digest_of(secret),
            users.c.disabled_at.is_(None),
            *_is_alive(people),
        )
    )
    async with engine.connect() as connection:
        row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    await _note_use(engine, people, row)
    is_enrolled = row["totp_last_step"] is not None
    is_whole = row["has_second_factor"] or not (is_enrolled or people.needs_second_factor)
    return Session(
        row["session_hash"], row["user_id"], row["csrf_hash"], row["has_second_factor"],
        is_whole, secret,
    )  # fmt: skip


def _is_alive(people: People) -> tuple[Any, ...]:
    now = people.clock.now()
    return (
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > moment_of(now),
        sessions.c.seen_at > moment_of(now - people.identity.session_idle_s),
    )


async def _note_use(engine: AsyncEngine, people: People, row: Row) -> None:
    """Written once a minute at most: reads stay reads."""
    now = people.clock.now()
    is_due = sessions.c.seen_at < moment_of(now - SEEN_EVERY_S)
    if aware(row["seen_at"]) < moment_of(now - SEEN_EVERY_S):
        query = sa.update(sessions).where(sessions.c.session_hash == row["session_hash"], is_due)
        async with engine.begin() as connection:
            await connection.execute(query.values(seen_at=moment_of(now)))


async def list_sessions(connection: AsyncConnection, people: People, user_id: str) -> list[Row]:
    """A person's living sessions, by their hash."""
    query = (
        sa.select(sessions)
        .where(sessions.c.user_id == user_id, *_is_alive(people))
        .order_by(sessions.c.session_hash)
    )
    return list((await connection.execute(query)).mappings().all())


async def revoke_session(connection: AsyncConnection, session_hash: str, now: datetime) -> None:
    """End one session."""
    query = sa.update(sessions).where(
        sessions.c.session_hash == session_hash, sessions.c.revoked_at.is_(None)
    )
    await connection.execute(query.values(revoked_at=now))


async def revoke_everything(connection: AsyncConnection, user_id: str, now: datetime) -> None:
    """End all sessions of a person and all tokens made from them."""
    for table in (sessions, refresh_tokens):
        query = sa.update(table).where(table.c.user_id == user_id, table.c.revoked_at.is_(None))
        await connection.execute(query.values(revoked_at=now))
