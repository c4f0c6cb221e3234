"""The admin application: THE list of its routes, its middlewares and its lifetime.

Built and served by roles/control.py. What is not in admin_api.auth.OPEN_ROUTES asks for the token.
"""

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from admin_api import calls
from admin_api.auth import build_token_check
from admin_api.calls import build_handler
from admin_api.context import CONTEXT, AdminContext
from admin_api.errors import MAX_BODY_BYTES, answer_errors
from admin_api.routes import (
    cache,
    conservation,
    credentials,
    health,
    keys,
    master_key,
    model_changes,
    price_changes,
    prices,
    projects,
    requests,
    tenants,
    tiers,
    upstreams,
    usage,
)

SHUTDOWN_S = 2.0

Route = tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]

ROUTES: tuple[Route, ...] = (
    ("GET", "/health", health.show_live),
    ("GET", "/health/ready", health.show_ready),
    ("GET", "/health/metrics", health.show_metrics),
    ("GET", "/admin/v1/usage", usage.show_usage),
    ("GET", "/admin/v1/requests/{id}", requests.show_request),
    ("GET", "/admin/v1/conservation", conservation.show_conservation),
    ("GET", "/admin/v1/prices/{model:.+}", prices.show_price),
    ("POST", "/admin/v1/cache/purge", cache.purge_cache),
)

# Routes with models of what goes in and out: calls.py checks and describes them.
RESOURCES: tuple[calls.Route, ...] = (
    *tenants.ROUTES,
    *projects.ROUTES,
    *keys.ROUTES,
    *tiers.ROUTES,
    *credentials.ROUTES,
    *upstreams.ROUTES,
    *model_changes.ROUTES,
    *price_changes.ROUTES,
    *master_key.ROUTES,
)

server_logger = logging.getLogger(f"{__name__}.server")


def is_loggable(record: logging.LogRecord) -> bool:
    """Tell our errors from those of the HTTP parser, which quote the request, its token too."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


server_logger.addFilter(is_loggable)


def build_admin_app(context: AdminContext) -> web.Application:
    """The application of one control process."""
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[answer_errors, build_token_check(context.token, context.settings.host)],
    )
    app[CONTEXT] = context
    for method, path, handler in ROUTES:
        app.router.add_route(method, path, handler)
    for route in RESOURCES:
        app.router.add_route(route.method, route.path, build_handler(route))
    return app


@asynccontextmanager
async def serve_admin(context: AdminContext, opened: socket.socket) -> AsyncIterator[None]:
    """Serve on a listening socket for as long as the block lasts."""
    runner = web.AppRunner(
        build_admin_app(context),
        access_log=None,
        logger=server_logger,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, opened).start()
        yield
    finally:
        await runner.cleanup()
