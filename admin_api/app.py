"""The admin application: THE list of its routes, its middlewares and its lifetime.

Built and served by roles/control.py. Who may call what is decided in admin_api.auth: by default
the operator alone.
"""

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from admin_api import calls
from admin_api.auth import OpenTo, build_caller_check, place_of
from admin_api.context import CONTEXT, AdminContext
from admin_api.errors import MAX_BODY_BYTES, answer_errors
from admin_api.people.guard import build_guarded
from admin_api.people.routes import auth_routes
from admin_api.routes import (
    audit,
    cache,
    conservation,
    credentials,
    docs,
    health,
    invitations,
    keys,
    master_key,
    members,
    model_changes,
    models,
    price_changes,
    prices,
    projects,
    requests,
    sessions,
    settings,
    tenants,
    tiers,
    upstreams,
    usage,
    users,
)
from admin_api.serving import build_handler

SHUTDOWN_S = 2.0

Route = tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]

# Routes with models of what goes in and out: calls.py checks and openapi.py describes them.
RESOURCES: tuple[calls.Route, ...] = (
    *tenants.ROUTES,
    *projects.ROUTES,
    *keys.ROUTES,
    *tiers.ROUTES,
    *members.ROUTES,
    *invitations.ROUTES,
    *sessions.ROUTES,
    *users.ROUTES,
    *models.ROUTES,
    *prices.ROUTES,
    *usage.ROUTES,
    *requests.ROUTES,
    *cache.ROUTES,
    *audit.ROUTES,
    *settings.ROUTES,
    *conservation.ROUTES,
    *credentials.ROUTES,
    *upstreams.ROUTES,
    *model_changes.ROUTES,
    *price_changes.ROUTES,
    *master_key.ROUTES,
)

documentation = docs.Documentation(lambda: RESOURCES)

# What is no part of the API: probes, and what describes it.
ROUTES: tuple[Route, ...] = (
    ("GET", "/health", health.show_live),
    ("GET", "/health/ready", health.show_ready),
    ("GET", "/health/metrics", health.show_metrics),
    ("GET", "/admin/v1/openapi.json", documentation.show_openapi),
    ("GET", "/admin/v1/docs", docs.show_page),
    ("GET", "/admin/v1/docs.js", docs.show_script),
    ("GET", "/admin/v1/docs.css", docs.show_style),
)

server_logger = logging.getLogger(f"{__name__}.server")


def is_loggable(record: logging.LogRecord) -> bool:
    """Tell our errors from those of the HTTP parser, which quote the request, its token too."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


server_logger.addFilter(is_loggable)


def build_admin_app(context: AdminContext) -> web.Application:
    """The application of one control process."""
    open_to = OpenTo()
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[answer_errors, build_caller_check(context, open_to)],
    )
    app[CONTEXT] = context
    for door in auth_routes(context.people):
        added = app.router.add_route(door.method, door.path, build_guarded(door))
        open_to.anybody.add(place_of(added))
    for method, path, handler in ROUTES:
        app.router.add_route(method, path, handler)
    for route in RESOURCES:
        added = app.router.add_route(route.method, route.path, build_handler(route))
        open_to.people.add(place_of(added))
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
