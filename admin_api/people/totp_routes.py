"""/auth/totp: enrol an app for one-time codes, prove a code, take it away again."""

from aiohttp import web
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.answers import json_response
from admin_api.calls import Strict, parse, read_json
from admin_api.context import CONTEXT
from admin_api.errors import AdminError
from admin_api.people.guard import SESSION_OF
from admin_api.people.moments import moment_of
from admin_api.people.refusals import too_many
from admin_api.people.second_factor import Proof, enrol, prove, remove
from admin_api.people.session_routes import sign_in
from admin_api.people.sessions import revoke_everything
from policies.audit import AuditEntry, append_audit


class Code(Strict):
    """A one-time code, or a recovery code."""

    code: str = Field(min_length=6, max_length=32)


async def start(request: web.Request) -> web.StreamResponse:
    """A secret for an app, shown once; a first code makes it count."""
    context, session = request.app[CONTEXT], request[SESSION_OF]
    async with context.sql.begin() as connection:
        enrolment = await enrol(connection, context.people, session.user_id)
    if enrolment is None:
        hint = "DELETE /auth/totp with a code first, then enrol another app"
        raise AdminError(409, "already_enrolled", "an app is enrolled already", hint)
    return json_response({"secret": enrolment.secret, "uri": enrolment.uri}, 201)


async def verify(request: web.Request) -> web.StreamResponse:
    """Prove a code: the session is whole from then on, under a new cookie."""
    user_id = request[SESSION_OF].user_id
    proof = await _prove(request)
    if proof.recovery_codes:
        async with request.app[CONTEXT].sql.begin() as connection:
            await _audit(connection, request, "totp.enrol")
    document = {"recovery_codes": list(proof.recovery_codes)}
    return await sign_in(request, json_response(document), user_id, has_second_factor=True)


async def take_away(request: web.Request) -> web.StreamResponse:
    """Forget the app; every session and token of the person ends with it."""
    context, session = request.app[CONTEXT], request[SESSION_OF]
    await _prove(request)
    async with context.sql.begin() as connection:
        await remove(connection, session.user_id)
        await revoke_everything(connection, session.user_id, moment_of(context.clock.now()))
        await _audit(connection, request, "totp.delete")
    return web.Response(status=204)


async def _audit(connection: AsyncConnection, request: web.Request, action: str) -> None:
    """On a chain of the person's own: what concerns all does not wait for it."""
    user_id = request[SESSION_OF].user_id
    entry = AuditEntry(user_id, f"user:{user_id}", action, f"users/{user_id}/totp", None, None)
    await append_audit(connection, entry, request.app[CONTEXT].clock.now())


async def _prove(request: web.Request) -> Proof:
    """Few attempts in a row, right or wrong. AdminError."""
    context, session = request.app[CONTEXT], request[SESSION_OF]
    body = parse(Code, await read_json(request), "body")
    wait_s = context.people.codes.try_once(session.user_id)
    if wait_s > 0:
        raise too_many(wait_s)
    async with context.sql.begin() as connection:
        proof = await prove(connection, context.people, session.user_id, body.code)
    if proof is None:
        hint = "wait for the next code: each is good once, and for half a minute"
        raise AdminError(403, "wrong_code", "that code is not good", hint)
    return proof
