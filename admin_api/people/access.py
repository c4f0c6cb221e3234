"""API tokens of people: a short signed one to call with, and one that is changed at each renewal.

A renewal that is used twice was stolen, or its thief was faster: everything that came from the
same session's request is void, the short tokens too, as each call asks whether its family lives.
"""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from admin_api.people import opaque
from admin_api.people.moments import aware, moment_of
from admin_api.people.roles import read_actor
from admin_api.people.signing_keys import find_public_key, key_to_sign
from admin_api.people.state import People
from admin_api.people.tokens import (
    OWN_ALGORITHM,
    OWN_TYPE,
    Expected,
    TokenError,
    read_key_id,
    sign,
    verify,
)
from admin_api.permissions import Actor
from storage.tables import refresh_tokens

AUDIENCE = "apex-admin"
REFRESH_PREFIX = "apex_r_"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a family of tokens is for: a person in one tenant, until `expires_at` (Unix s)."""

    user_id: str
    tenant: str
    family: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What is handed to the person; lifetimes in seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int


async def grant_tokens(
    engine: AsyncEngine, people: People, issuer: str, user_id: str, tenant: str
) -> TokenPair:
    """The first pair of a new family."""
    expires_at = people.clock.now() + people.identity.refresh_token_s
    grant = Grant(user_id, tenant, opaque.make_id("fam_"), expires_at)
    async with engine.begin() as connection:
        refresh_token = await _add_refresh_token(connection, people, grant)
    return await _pair(engine, people, issuer, grant, refresh_token)


async def renew_tokens(
    engine: AsyncEngine, people: People, issuer: str, refresh_token: str
) -> TokenPair:
    """The next pair of the family, which lives no longer for it. TokenError."""
    async with engine.begin() as connection:
        grant = await _use(connection, people, refresh_token)
        if grant is None:
            is_reused = await _revoke_if_used(connection, people, refresh_token)
        else:
            renewed = await _add_refresh_token(connection, people, grant)
    if grant is None:
        raise TokenError("it was used before: its family is revoked" if is_reused else "unknown")
    actor = await read_actor(engine, grant.user_id, grant.tenant)
    if actor is None or grant.tenant not in actor.roles:
        raise TokenError("its person has no part in the tenant any more")
    return await _pair(engine, people, issuer, grant, renewed)


async def revoke_family(engine: AsyncEngine, people: People, refresh_token: str) -> None:
    """End all tokens that came from the same request; silent about tokens that are unknown."""
    query = sa.select(refresh_tokens.c.family).where(_is_of(refresh_token))
    async with engine.begin() as connection:
        family = (await connection.execute(query)).scalar_one_or_none()
        if family is not None:
            await _revoke(connection, people, family)


async def read_bearer(engine: AsyncEngine, people: People, issuer: str, token: str) -> Actor:
    """Who calls with a short token. TokenError."""
    expected = Expected(issuer, AUDIENCE, (OWN_ALGORITHM,), (OWN_TYPE,), people.clock.now())
    key = await find_public_key(engine, people, read_key_id(token, expected))
    if key is None:
        raise TokenError("it is signed with an unknown key")
    claims = verify(token, key, expected)
    family, tenant = claims.get("family"), claims.get("tenant")
    if not isinstance(family, str) or not isinstance(tenant, str):
        raise TokenError("it is not one of ours")
    if not await _is_alive(engine, people, family, claims["sub"]):
        raise TokenError("its family is revoked or has expired")
    actor = await read_actor(engine, claims["sub"], tenant)
    if actor is None:
        raise TokenError("its person is gone")
    return actor


async def _pair(
    engine: AsyncEngine, people: People, issuer: str, grant: Grant, refresh_token: str
) -> TokenPair:
    key_id, key = await key_to_sign(engine, people)
    now = int(people.clock.now())
    lifetime_s = people.identity.access_token_s
    claims: dict[str, Any] = {
        "iss": issuer, "aud": AUDIENCE, "sub": grant.user_id, "tenant": grant.tenant,
        "family": grant.family, "iat": now, "nbf": now, "exp": now + lifetime_s,
        "jti": opaque.make_id("at_"),
    }  # fmt: skip
    left_s = int(grant.expires_at - now)
    return TokenPair(sign(claims, key_id, key), lifetime_s, refresh_token, left_s)


async def _add_refresh_token(connection: AsyncConnection, people: People, grant: Grant) -> str:
    token = opaque.make_secret(REFRESH_PREFIX)
    row = {
        "token_hash": opaque.digest_of(token),
        "family": grant.family,
        "user_id": grant.user_id,
        "tenant": grant.tenant,
        "created_at": moment_of(people.clock.now()),
        "expires_at": moment_of(grant.expires_at),
    }
    await connection.execute(sa.insert(refresh_tokens).values(row))
    return token


async def _use(connection: AsyncConnection, people: People, refresh_token: str) -> Grant | None:
    """Take a token out of use, once: of two calls at the same moment one finds it used."""
    now = moment_of(people.clock.now())
    table = refresh_tokens.c
    fresh = (table.used_at.is_(None), table.revoked_at.is_(None), table.expires_at > now)
    query = sa.update(refresh_tokens).where(_is_of(refresh_token), *fresh).values(used_at=now)
    if (await connection.execute(query)).rowcount != 1:
        return None
    found = await connection.execute(sa.select(refresh_tokens).where(_is_of(refresh_token)))
    row = found.mappings().one()
    return Grant(row["user_id"], row["tenant"], row["family"], aware(row["expires_at"]).timestamp())


async def _revoke_if_used(connection: AsyncConnection, people: People, refresh_token: str) -> bool:
    query = sa.select(refresh_tokens.c.family).where(
        _is_of(refresh_token), refresh_tokens.c.used_at.is_not(None)
    )
    family = (await connection.execute(query)).scalar_one_or_none()
    if family is not None:
        await _revoke(connection, people, family)
    return family is not None


async def _revoke(connection: AsyncConnection, people: People, family: str) -> None:
    query = sa.update(refresh_tokens).where(
        refresh_tokens.c.family == family, refresh_tokens.c.revoked_at.is_(None)
    )
    await connection.execute(query.values(revoked_at=moment_of(people.clock.now())))


async def _is_alive(engine: AsyncEngine, people: People, family: str, user_id: str) -> bool:
    table = refresh_tokens.c
    query = sa.select(
        sa.func.count(), sa.func.count(table.revoked_at), sa.func.max(table.expires_at)
    ).where(table.family == family, table.user_id == user_id)
    async with engine.connect() as connection:
        count, revoked, expires_at = (await connection.execute(query)).one()
    return count > 0 and revoked == 0 and aware(expires_at) > moment_of(people.clock.now())


def _is_of(refresh_token: str) -> sa.ColumnElement[bool]:
    return refresh_tokens.c.token_hash == opaque.digest_of(refresh_token)
