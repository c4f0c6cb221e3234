"""/auth/login, /auth/callback and, in development, /auth/dev/login: how people come in."""

import logging
import re
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import Field

from admin_api.calls import Strict, parse, read_json
from admin_api.context import CONTEXT, AdminContext
from admin_api.errors import AdminError
from admin_api.people import opaque
from admin_api.people.accounts import admit
from admin_api.people.cookies import LOGIN, read_cookie, set_cookie
from admin_api.people.fetching import IssuerError
from admin_api.people.logins import LIFETIME_S, Login, begin_login, finish_login
from admin_api.people.oidc import Identity, Issuer, Journey, is_address
from admin_api.people.refusals import RefusedError, login_failed
from admin_api.people.session_routes import sign_in
from admin_api.people.tokens import TokenError
from config.operator import is_loopback

_log = logging.getLogger(__name__)

CALLBACK = "/auth/callback"
DEV_ISSUER = "dev"
# A path of this host, and nothing that a browser could take for another host.
LOCAL_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~/?&=%+-]{0,511}")


class LoginQuery(Strict):
    """Where to sign in, and where to go afterwards."""

    issuer: str = Field(default="", max_length=64)
    next: str = Field(default="/auth/session", max_length=512)
    invitation: str = Field(default="", max_length=opaque.MOST_CHARACTERS)


class DevLogin(Strict):
    """Who somebody says they are, in development."""

    email: str = Field(max_length=320)
    invitation: str = Field(default="", max_length=opaque.MOST_CHARACTERS)


async def start_login(request: web.Request) -> web.StreamResponse:
    """Send the browser to the identity provider."""
    context = request.app[CONTEXT]
    query = parse(LoginQuery, dict(request.query), "query")
    name, issuer = _choose_issuer(context, query.issuer)
    if not LOCAL_PATH.fullmatch(query.next):
        hint = "give a path of this host, such as /auth/session"
        raise AdminError(422, "invalid_query", "next is not a path of this host", hint)
    journey = Journey(
        opaque.make_secret(), opaque.make_secret(), opaque.make_secret(),
        context.people.origin(request) + CALLBACK,
    )  # fmt: skip
    browser = opaque.make_secret()
    login = Login(journey, name, query.next, query.invitation, opaque.digest_of(browser))
    try:
        url = await issuer.authorization_url(journey)
        await begin_login(context.sql, context.people, login)
    except (IssuerError, RefusedError) as error:
        raise login_failed(error) from None
    response = web.Response(status=302, headers={"Location": url})
    set_cookie(response, context.people, LOGIN, browser, LIFETIME_S)
    return response


async def finish(request: web.Request) -> web.StreamResponse:
    """The way back: a session for whom the provider names."""
    context = request.app[CONTEXT]
    try:
        login, identity = await _identify(request)
        user_id = await admit(context, identity, login.invitation)
    except (IssuerError, RefusedError, TokenError) as error:
        raise login_failed(error) from None
    response = web.Response(status=303, headers={"Location": login.next_path})
    set_cookie(response, context.people, LOGIN, "", 0)
    return await sign_in(request, response, user_id)


async def dev_login(request: web.Request) -> web.StreamResponse:
    """Anybody is whoever they say: served in development on this machine alone."""
    context = request.app[CONTEXT]
    body = parse(DevLogin, await read_json(request), "body")
    if not _is_local_host(request) or not is_address(body.email):
        raise login_failed("the host or the address is not one of development")
    identity = Identity(DEV_ISSUER, body.email.casefold(), body.email)
    try:
        user_id = await admit(context, identity, body.invitation)
    except RefusedError as error:
        raise login_failed(error) from None
    response = await sign_in(request, web.Response(status=204), user_id)
    _log.info("a development login of user:%s", user_id)
    return response


def _choose_issuer(context: AdminContext, name: str) -> tuple[str, Issuer]:
    issuers = context.people.issuers
    chosen = name or next(iter(issuers), "")
    if chosen not in issuers:
        hint = "name one of identity.issuers in apex.yaml; docs/people.md shows how to add Google"
        raise AdminError(404, "unknown_issuer", "there is no such identity provider", hint)
    return chosen, issuers[chosen]


async def _identify(request: web.Request) -> tuple[Login, Identity]:
    context, query = request.app[CONTEXT], request.query
    browser = read_cookie(request, context.people, LOGIN)
    login = await finish_login(context.sql, context.people, query.get("state", ""), browser)
    issuer = context.people.issuers.get(login.issuer_name)
    if issuer is None:
        raise RefusedError("its identity provider is not declared any more")
    # RFC 9207: a provider that names itself here cannot be taken for another.
    if query.get("iss", issuer.config.issuer) != issuer.config.issuer:
        raise RefusedError("another identity provider answered")
    code = query.get("code", "")
    if not 0 < len(code) <= 2048:
        raise RefusedError("the identity provider gave no code")
    return login, await issuer.identify(code, login.journey)


def _is_local_host(request: web.Request) -> bool:
    """A page of another site cannot reach this by a name of its own that leads here."""
    return is_loopback(urlsplit(f"//{request.host}").hostname or "")
