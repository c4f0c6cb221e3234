"""Every error the admin API answers, as RFC 9457 problem documents; the outermost middleware."""

import logging
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as SQLTimeoutError

from config.errors import ConfigError, nearest
from storage.sql_errors import SQL_ERRORS, SqlAwayError, is_sql_away

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PROBLEM_TYPE = "application/problem+json"
MAX_BODY_BYTES = 65_536
# What a driver raises while its server, or the table it needs, is not there.
STORE_AWAY = (
    SqlAwayError,
    OperationalError,
    InterfaceError,
    SQLTimeoutError,
    ConnectionError,
    TimeoutError,
)
HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "60"},
    503: {"Retry-After": "5"},
}

_log = logging.getLogger(__name__)


class AdminError(Exception):
    """A refusal with its status, a stable code, what is wrong and how to put it right."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(status, code, message, hint)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint


def problem_response(error: AdminError) -> web.Response:
    """The document of one error."""
    document = {
        "type": "about:blank",
        "title": error.code.replace("_", " "),
        "status": error.status,
        "code": error.code,
        "detail": error.message,
        "hint": error.hint,
    }
    headers = HEADERS.get(error.status, {})
    return web.Response(
        status=error.status, body=orjson.dumps(document), content_type=PROBLEM_TYPE, headers=headers
    )


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals, unknown routes and failures of ours into problem documents."""
    try:
        return await handler(request)
    except AdminError as error:
        return problem_response(error)
    except STORE_AWAY as error:
        return _explain_store(request, error)
    except ConfigError as error:
        return problem_response(AdminError(400, "invalid_request", error.message, error.hint))
    except web.HTTPException as error:
        return problem_response(_describe_http_error(request, error))
    except Exception as error:  # noqa: BLE001  the last resort: an answer, and the log the reason
        return _explain_failure(request, error)


def _explain_failure(request: web.Request, error: Exception) -> web.Response:
    """A store that is away in a driver's words; else a fault of ours."""
    if isinstance(error, SQL_ERRORS) and is_sql_away(error):
        return _explain_store(request, error)
    _log.error("%s %s failed", request.method, request.path, exc_info=error)
    failure = AdminError(
        500,
        "internal_error",
        "the control process failed to answer",
        "its log has the reason; the proxies keep serving",
    )
    return problem_response(failure)


def _explain_store(request: web.Request, error: Exception) -> web.Response:
    _log.warning("%s %s: the SQL store is away", request.method, request.path)
    return problem_response(_store_away(error))


def _store_away(error: Exception) -> AdminError:
    hint = "retry in a few seconds; the proxies keep serving from their snapshot meanwhile"
    kind = type(error).__name__
    return AdminError(503, "store_unavailable", f"the SQL store is away ({kind})", hint)


def list_routes(app: web.Application) -> list[str]:
    """ "METHOD /path" of every route, in order."""
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    return sorted(routes, key=lambda route: route.split()[::-1])


def _describe_http_error(request: web.Request, error: web.HTTPException) -> AdminError:
    if error.status == 404:
        return _describe_unknown_route(request)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods - {"HEAD"}))
        message = f"{request.method} is not served on {request.path}"
        return AdminError(405, "method_not_allowed", message, f"use {allowed}")
    if error.status == 413:
        message = f"the body has more than {MAX_BODY_BYTES} bytes"
        return AdminError(413, "body_too_large", message, "no request of this API needs as much")
    return AdminError(error.status, "refused", error.reason, "docs/admin-api.md lists the routes")


def _describe_unknown_route(request: web.Request) -> AdminError:
    routes = list_routes(request.app)
    near = nearest(request.path, {route.split()[1] for route in routes})
    advice = f"did you mean {' or '.join(near)}? " if near else ""
    message = f"there is no {request.method} {request.path}"
    return AdminError(404, "not_found", message, f"{advice}known routes: {', '.join(routes)}")
