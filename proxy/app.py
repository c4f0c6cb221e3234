"""Builds the data plane's aiohttp application. Called by role.py and by tests."""

from aiohttp import web

from proxy.health import ProxyHealth
from proxy.pipeline import Pipeline
from proxy.realtime import Realtime
from proxy.resources.relay import ResourceRelay
from proxy.routes import HEALTH, PIPELINE, REALTIME, RELAY, add_routes


def build_app(
    pipeline: Pipeline,
    relay: ResourceRelay,
    realtime: Realtime,
    health: ProxyHealth,
    max_body_bytes: int,
) -> web.Application:
    """Assemble the application; without middlewares, because each costs every request."""
    app = web.Application(client_max_size=max_body_bytes)
    app[PIPELINE] = pipeline
    app[RELAY] = relay
    app[REALTIME] = realtime
    app[HEALTH] = health
    add_routes(app)
    return app
