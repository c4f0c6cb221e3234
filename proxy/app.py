"""Builds the data plane's aiohttp application. Called by role.py and by tests."""

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.errors import GatewayError, error_response
from proxy.health import ProxyHealth
from proxy.pipeline import Pipeline
from proxy.routes import HEALTH, PIPELINE, add_routes

logger = logging.getLogger(__name__)


@web.middleware
async def speak_openai(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into OpenAI's shape, the framework's own and our bugs included."""
    try:
        return await handler(request)
    except GatewayError as error:
        return error_response(error, {})
    except web.HTTPException as error:
        code = "method_not_allowed" if error.status == 405 else "http_error"
        hint = "See docs/life-of-a-request.md for the routes."
        return error_response(GatewayError(error.status, code, error.reason, hint), {})
    except Exception:
        # The traceback names code, never the request: bodies and keys stay out of logs.
        logger.exception("unexpected error on %s", request.match_info.route.resource)
        hint = "It is logged; retry, and report it with the request id."
        return error_response(GatewayError(500, "internal_error", "The gateway failed.", hint), {})


def build_app(pipeline: Pipeline, health: ProxyHealth, max_body_bytes: int) -> web.Application:
    """Assemble the application; one middleware, because each costs every request."""
    app = web.Application(middlewares=[speak_openai], client_max_size=max_body_bytes)
    app[PIPELINE] = pipeline
    app[HEALTH] = health
    add_routes(app)
    return app
