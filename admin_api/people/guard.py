"""What stands before every /auth route: counted attempts, and the session where one is needed.

routes.py lists the routes with the access each asks for; auth.py uses `read_session` for the rest
of the admin API.
"""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from aiohttp import web

from admin_api.context import CONTEXT
from admin_api.errors import AdminError
from admin_api.people.cookies import SESSION, read_cookie
from admin_api.people.opaque import digest_of, is_same
from admin_api.people.refusals import no_session, second_factor_needed, too_many, wrong_csrf
from admin_api.people.sessions import Session, find_session

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Access = Literal["anybody", "session", "whole session"]
SESSION_OF: web.RequestKey[Session] = web.RequestKey("session", Session)
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class AuthRoute(NamedTuple):
    """A route by which people come in; a `session` may lack its second factor, a whole one not."""

    method: str
    path: str
    handler: Handler
    access: Access


def build_guarded(route: AuthRoute) -> Handler:
    """The aiohttp handler of such a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await _check_access(request, route.access)
        response = await route.handler(request)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        return response

    return handle


async def _check_access(request: web.Request, access: Access) -> None:
    """Whoever has a session is not counted: only who tries to have one. AdminError."""
    if access == "anybody":
        return check_attempts(request)
    try:
        is_whole_needed = access == "whole session"
        request[SESSION_OF] = await read_session(request, is_whole_needed=is_whole_needed)
    except AdminError:
        check_attempts(request)
        raise


def check_attempts(request: web.Request) -> None:
    """Count a call of its address. AdminError 429."""
    name = network_of(request.remote or "")
    wait_s = request.app[CONTEXT].people.attempts.try_once(name)
    if wait_s > 0:
        raise too_many(wait_s)


def network_of(address: str) -> str:
    """The address, or of IPv6 the network of 64 bits, which is what one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, ipaddress.IPv6Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


async def read_session(request: web.Request, *, is_whole_needed: bool = True) -> Session:
    """The session of the cookie; a changing call proves that our page made it. AdminError."""
    context = request.app[CONTEXT]
    secret = read_cookie(request, context.people, SESSION)
    session = await find_session(context.sql, context.people, secret) if secret else None
    if session is None:
        raise no_session()
    if request.method not in SAFE_METHODS:
        _check_csrf(request.headers.get(CSRF_HEADER, ""), session)
    if is_whole_needed and not session.is_whole:
        raise second_factor_needed()
    return session


def _check_csrf(token: str, session: Session) -> None:
    is_of_cookie = is_same(token, session.csrf_token)
    if not (is_same(digest_of(token), session.csrf_hash) and is_of_cookie):
        raise wrong_csrf()
