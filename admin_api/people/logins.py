"""Logins under way: what is remembered of a person who is away at the identity provider.

A login is good once and for ten minutes, and only in the browser in which it began.
"""

from dataclasses import asdict, dataclass

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from admin_api.people import opaque
from admin_api.people.moments import aware, moment_of
from admin_api.people.oidc import Journey
from admin_api.people.refusals import RefusedError
from admin_api.people.state import People
from config.errors import ConfigError
from storage.tables import logins

LIFETIME_S = 600
MOST_LOGINS = 10_000
SEAL_PURPOSE = "login"


@dataclass(frozen=True, slots=True)
class Login:
    """What the way back needs; `next_path` is where the person wanted to go."""

    journey: Journey
    issuer_name: str
    next_path: str
    invitation: str
    browser_hash: str


async def begin_login(engine: AsyncEngine, people: People, login: Login) -> None:
    """Remember it, sealed. RefusedError when there are too many at once."""
    now = people.clock.now()
    row = {
        "state_hash": opaque.digest_of(login.journey.state),
        "sealed": people.key_ring.seal(SEAL_PURPOSE, orjson.dumps(asdict(login))),
        "expires_at": moment_of(now + LIFETIME_S),
    }
    async with engine.begin() as connection:
        await connection.execute(sa.delete(logins).where(logins.c.expires_at <= moment_of(now)))
        count = await connection.execute(sa.select(sa.func.count()).select_from(logins))
        if count.scalar_one() >= MOST_LOGINS:
            raise RefusedError("too many logins are under way")
        await connection.execute(sa.insert(logins).values(row))


async def finish_login(engine: AsyncEngine, people: People, state: str, browser: str) -> Login:
    """The login of a state, which is forgotten with this, whatever comes of it. RefusedError."""
    mine = logins.c.state_hash == opaque.digest_of(state)
    async with engine.begin() as connection:
        # Deleting first takes the lock: of two that bring the same state one finds nothing.
        query = sa.delete(logins).where(mine).returning(logins.c.sealed, logins.c.expires_at)
        row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise RefusedError("its state is unknown, or was used before")
    login = _open(people, row["sealed"])
    if aware(row["expires_at"]).timestamp() <= people.clock.now():
        raise RefusedError("it took too long")
    if not opaque.is_same(opaque.digest_of(browser), login.browser_hash):
        raise RefusedError("it began in another browser")
    return login


def _open(people: People, sealed: bytes) -> Login:
    try:
        document = orjson.loads(people.key_ring.unseal(SEAL_PURPOSE, sealed))
    except ConfigError:
        raise RefusedError("it was sealed under another master key") from None
    return Login(**{**document, "journey": Journey(**document["journey"])})
