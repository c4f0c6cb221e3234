"""Who may call the admin API: the holder of the admin token. Deny by default.

The verdict is on the route that was matched, never on the text of the path.
"""

import hashlib
import hmac
import ipaddress

from aiohttp import web
from aiohttp.typedefs import Middleware

from admin_api.calls import ACTOR
from admin_api.errors import AdminError, Handler
from admin_api.permissions import OPERATOR

# Everything else asks for the token. Orchestrators probe these without credentials.
OPEN_ROUTES = frozenset({"/health", "/health/ready"})
METRICS_ROUTE = "/health/metrics"


def build_token_check(token: str, host: str) -> Middleware:
    """The middleware that admits the holder of `token`; `host` is where the port listens."""
    expected = _digest(token)
    open_routes = OPEN_ROUTES | {METRICS_ROUTE} if is_loopback(host) else OPEN_ROUTES

    @web.middleware
    async def check_token(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        # Without a resource nothing is served: the router answers 404 or 405 itself.
        if resource is not None and resource.canonical not in open_routes:
            _check(request, expected)
            request[ACTOR] = OPERATOR
        return await handler(request)

    return check_token


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check(request: web.Request, expected: bytes) -> None:
    token = _read_token(request)
    if token is None:
        raise AdminError(
            401,
            "missing_token",
            "the admin API needs the admin token",
            "send Authorization: Bearer TOKEN; it is APEX_ADMIN_TOKEN, or in development the"
            " content of admin.token in APEX_HOME",
        )
    if not hmac.compare_digest(_digest(token), expected):
        raise AdminError(
            401,
            "wrong_token",
            "that is not the admin token",
            "API keys do not open the admin API; the token is APEX_ADMIN_TOKEN, or in development"
            " the content of admin.token in APEX_HOME",
        )


def _read_token(request: web.Request) -> str | None:
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credential.strip():
        return credential.strip()
    return request.headers.get("x-admin-token") or None


def _digest(token: str) -> bytes:
    """Equal lengths, so that the comparison tells nothing about the token's."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
