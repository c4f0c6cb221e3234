"""Who calls the admin API: the operator by the admin token, a person by a token or a session.

The verdict is on the route that was matched, never on the text of the path. Deny by default: what
app.py does not open to people is the operator's, and calls.py asks for the permission of the rest.
"""

import hashlib
import hmac
import logging
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Middleware

from admin_api.calls import ACTOR
from admin_api.context import AdminContext
from admin_api.errors import AdminError, Handler
from admin_api.people.access import read_bearer
from admin_api.people.cookies import SESSION, read_cookie
from admin_api.people.guard import read_session
from admin_api.people.refusals import no_session
from admin_api.people.roles import read_actor
from admin_api.people.tokens import TokenError, looks_like_token
from admin_api.permissions import OPERATOR, Actor
from config.operator import is_loopback

# Everything else asks who calls. Orchestrators probe without credentials, and a browser opens
# the documentation without: it says nothing that the sources do not.
OPEN_ROUTES = frozenset({
    "/health", "/health/ready", "/admin/v1/openapi.json",
    "/admin/v1/docs", "/admin/v1/docs.js", "/admin/v1/docs.css",
})  # fmt: skip
METRICS_ROUTE = "/health/metrics"
HINT = (
    "send Authorization: Bearer TOKEN; the operator's is APEX_ADMIN_TOKEN, or in development the"
    " content of admin.token in APEX_HOME; people sign in at /auth/login"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenTo:
    """(method, path) of routes: those with checks of their own, and those for people."""

    anybody: set[tuple[str, str]] = field(default_factory=set)
    people: set[tuple[str, str]] = field(default_factory=set)


def place_of(route: web.AbstractRoute) -> tuple[str, str]:
    """What a registered route is known by; its path without the patterns of its parts."""
    assert route.resource is not None
    return route.method, route.resource.canonical


def build_caller_check(context: AdminContext, open_to: OpenTo) -> Middleware:
    """The middleware that finds out who calls, or refuses."""
    is_local = is_loopback(context.settings.host)
    open_paths = OPEN_ROUTES | {METRICS_ROUTE} if is_local else OPEN_ROUTES

    @web.middleware
    async def check_caller(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route
        _refuse_unstorable(request)
        # Without a resource nothing is served: the router answers 404 or 405 itself.
        if route.resource is None or route.resource.canonical in open_paths:
            return await handler(request)
        place = place_of(route)
        if place not in open_to.anybody:
            actor = await identify(request, context)
            if not actor.is_operator and place not in open_to.people:
                hint = "only the operator of the gateway may call this"
                raise AdminError(403, "forbidden", "this is the operator's", hint)
            request[ACTOR] = actor
        return await handler(request)

    return check_caller


def _refuse_unstorable(request: web.Request) -> None:
    """A NUL is in no name; PostgreSQL would refuse it later, and less clearly. AdminError 400."""
    if any("\0" in text for text in (*request.match_info.values(), *request.query.values())):
        raise AdminError(400, "invalid_text", "the URL holds a NUL", "leave %00 out")


async def identify(request: web.Request, context: AdminContext) -> Actor:
    """Who calls. A token that is given has to be good: no session stands in for it. AdminError."""
    token = _read_token(request)
    if token is not None:
        if hmac.compare_digest(_digest(token), _digest(context.token)):
            return OPERATOR
        return await _identify_bearer(request, context, token)
    if read_cookie(request, context.people, SESSION):
        session = await read_session(request)
        actor = await read_actor(context.sql, session.user_id)
        if actor is None:
            raise no_session()
        return actor
    raise AdminError(401, "missing_token", "the admin API needs to know who calls", HINT)


async def _identify_bearer(request: web.Request, context: AdminContext, token: str) -> Actor:
    if looks_like_token(token):
        issuer = context.people.origin(request)
        try:
            return await read_bearer(context.sql, context.people, issuer, token)
        except TokenError as error:
            _log.info("a token was refused: %s", error)
    hint = f"it is none, or has expired; API keys do not open the admin API; {HINT}"
    raise AdminError(401, "wrong_token", "that token opens nothing here", hint)


def _read_token(request: web.Request) -> str | None:
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credential.strip():
        return credential.strip()
    return request.headers.get("x-admin-token") or None


def _digest(token: str) -> bytes:
    """Equal lengths, so that the comparison tells nothing about the token's."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
