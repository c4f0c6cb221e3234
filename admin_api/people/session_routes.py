"""/auth/session and /auth/logout, and the session that every way of coming in ends with."""

from aiohttp import web
from pydantic import Field

from admin_api.answers import json_response
from admin_api.calls import Strict, parse, read_json
from admin_api.context import CONTEXT
from admin_api.people import opaque
from admin_api.people.cookies import SESSION, read_cookie, set_cookie
from admin_api.people.guard import SESSION_OF
from admin_api.people.moments import moment_of
from admin_api.people.purging import purge_expired
from admin_api.people.roles import read_actor
from admin_api.people.sessions import make_session, revoke_everything, revoke_session


class Logout(Strict):
    """What ends."""

    everywhere: bool = Field(default=False, description="All the person's sessions and tokens.")


async def sign_in(
    request: web.Request, response: web.Response, user_id: str, *, has_second_factor: bool = False
) -> web.Response:
    """Hand over a new session; whatever session the browser brought along ends.

    So that nobody can have planted one beforehand, and each new proof has a session of its own.
    """
    context = request.app[CONTEXT]
    now = moment_of(context.clock.now())
    brought = read_cookie(request, context.people, SESSION)
    async with context.sql.begin() as connection:
        await purge_expired(connection, context.clock.now())
        if brought:
            await revoke_session(connection, opaque.digest_of(brought), now)
        secret = await make_session(
            connection, context.people, user_id, has_second_factor=has_second_factor
        )
    set_cookie(response, context.people, SESSION, secret, context.people.identity.session_s)
    return response


async def log_out(request: web.Request) -> web.StreamResponse:
    """End this session, or all of the person's and their tokens."""
    context, session = request.app[CONTEXT], request[SESSION_OF]
    body = parse(Logout, await read_json(request) if request.can_read_body else {}, "body")
    now = moment_of(context.clock.now())
    async with context.sql.begin() as connection:
        if body.everywhere:
            await revoke_everything(connection, session.user_id, now)
        await revoke_session(connection, session.session_hash, now)
    response = web.Response(status=204)
    set_cookie(response, context.people, SESSION, "", 0)
    return response


async def show_session(request: web.Request) -> web.StreamResponse:
    """Who am I, what may I do, and the token that a changing call brings along."""
    context, session = request.app[CONTEXT], request[SESSION_OF]
    actor = await read_actor(context.sql, session.user_id)
    roles = dict(actor.roles) if actor and session.is_whole else {}
    return json_response({
        "session_id": session.session_id,
        "user_id": session.user_id,
        "roles": roles,
        "csrf_token": session.csrf_token,
        "has_second_factor": session.has_second_factor,
        "needs_second_factor": not session.is_whole,
    })  # fmt: skip
