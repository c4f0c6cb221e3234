"""/auth/token and what belongs to it: from a session, a token for a person's programs."""

from dataclasses import asdict

from aiohttp import web
from pydantic import Field

from admin_api.answers import json_response
from admin_api.calls import Strict, parse, read_json, unknown_tenant
from admin_api.context import CONTEXT
from admin_api.people.access import TokenPair, grant_tokens, renew_tokens, revoke_family
from admin_api.people.guard import SESSION_OF
from admin_api.people.opaque import MOST_CHARACTERS
from admin_api.people.refusals import grant_refused
from admin_api.people.roles import read_actor
from admin_api.people.signing_keys import describe_keys
from admin_api.people.tokens import TokenError

KEYS_MAX_AGE_S = 60


class TokenRequest(Strict):
    """What the tokens are for: one tenant the person has a part in."""

    tenant: str = Field(min_length=1, max_length=64)


class RefreshToken(Strict):
    """A refresh token."""

    refresh_token: str = Field(min_length=1, max_length=MOST_CHARACTERS)


async def grant(request: web.Request) -> web.StreamResponse:
    """A short token and one to renew it, for a tenant the person has a part in."""
    context, session = request.app[CONTEXT], request[SESSION_OF]
    tenant = parse(TokenRequest, await read_json(request), "body").tenant
    actor = await read_actor(context.sql, session.user_id, tenant)
    if actor is None or tenant not in actor.roles:
        raise unknown_tenant(tenant)
    issuer = context.people.origin(request)
    pair = await grant_tokens(context.sql, context.people, issuer, session.user_id, tenant)
    return _answer(pair)


async def renew(request: web.Request) -> web.StreamResponse:
    """A new pair for a refresh token, which is used up; twice ends everything that came of it."""
    context = request.app[CONTEXT]
    body = parse(RefreshToken, await read_json(request), "body")
    issuer = context.people.origin(request)
    try:
        pair = await renew_tokens(context.sql, context.people, issuer, body.refresh_token)
    except TokenError as error:
        raise grant_refused(error) from None
    return _answer(pair)


async def revoke(request: web.Request) -> web.StreamResponse:
    """End a family of tokens (RFC 7009): unknown ones are ended already."""
    context = request.app[CONTEXT]
    body = parse(RefreshToken, await read_json(request), "body")
    await revoke_family(context.sql, context.people, body.refresh_token)
    return web.Response(status=204)


async def show_keys(request: web.Request) -> web.StreamResponse:
    """The public keys that verify these tokens."""
    context = request.app[CONTEXT]
    response = json_response(await describe_keys(context.sql, context.people))
    response.headers["Cache-Control"] = f"max-age={KEYS_MAX_AGE_S}"
    return response


def _answer(pair: TokenPair) -> web.Response:
    return json_response({"token_type": "Bearer", **asdict(pair)})
