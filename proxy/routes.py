"""The data plane's routes; all others get a 404 in OpenAI's shape. Built into an app by app.py.

No route answers outside authentication, except health.
"""

import logging
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from config.metrics import render_metrics
from proxy.dialects.chat import CHAT, EMBEDDINGS
from proxy.errors import GatewayError, error_response
from proxy.health import ProxyHealth
from proxy.models import list_document, model_document
from proxy.pipeline import Pipeline, new_request_id

logger = logging.getLogger(__name__)

PIPELINE: Final = web.AppKey("pipeline", Pipeline)
HEALTH: Final = web.AppKey("health", ProxyHealth)
DIALECTS_TO_COME = ("responses", "messages", "completions", "images", "audio", "files", "batches")
PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def post_chat(request: web.Request) -> web.StreamResponse:
    """Answer POST /v1/chat/completions."""
    return await request.app[PIPELINE].handle(request, CHAT)


async def post_embeddings(request: web.Request) -> web.StreamResponse:
    """Answer POST /v1/embeddings."""
    return await request.app[PIPELINE].handle(request, EMBEDDINGS)


def _authenticate(request: web.Request) -> None:
    pipeline = request.app[PIPELINE]
    pipeline.authenticate(request, pipeline.holder.live)


async def get_models(request: web.Request) -> web.Response:
    """Answer GET /v1/models."""
    _authenticate(request)
    return _json(list_document(request.app[PIPELINE].holder.live.snapshot))


async def get_model(request: web.Request) -> web.Response:
    """Answer GET /v1/models/{id}; ids may contain slashes."""
    _authenticate(request)
    snapshot = request.app[PIPELINE].holder.live.snapshot
    return _json(model_document(snapshot, request.match_info["id"]))


async def get_health(request: web.Request) -> web.Response:
    """Answer GET /health: the process lives."""
    return _json(request.app[HEALTH].live_document())


async def get_ready(request: web.Request) -> web.Response:
    """Answer GET /health/ready: each dependency with its state."""
    status, document = request.app[HEALTH].ready_document()
    return _json(document, status)


async def get_metrics(request: web.Request) -> web.Response:
    """Answer GET /health/metrics: all processes added up."""
    health = request.app[HEALTH]
    text = render_metrics(health.metrics_directory, health.metrics)
    return web.Response(body=text.encode(), headers={"Content-Type": PROMETHEUS_TYPE})


async def not_found(request: web.Request) -> web.Response:
    """Answer everything else, so that a client learns what this gateway speaks."""
    _authenticate(request)
    rest = request.path.removeprefix("/v1/").split("/")[0]
    hint = "Served are POST /v1/chat/completions, POST /v1/embeddings and GET /v1/models."
    if rest in DIALECTS_TO_COME:
        hint = f"The {rest} dialect comes with a later release. " + hint
    known = [path for _, path, _ in ROUTES if path.startswith("/v1/")]
    if request.path in {path.partition("v1")[2] for path in known}:
        hint = "The base_url of a client must end in /v1. " + hint
    status = 405 if request.path in known else 404
    message = f"{request.method} {request.path[:128]} is not served."
    raise GatewayError(status, "unknown_route", message, hint)


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


def speak_openai(handler: Handler) -> Handler:
    """Turn every error of a handler into OpenAI's shape, our bugs included."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        own = {"x-apex-request-id": new_request_id()}
        try:
            response = await handler(request)
        except GatewayError as error:
            return error_response(error, own)
        except web.HTTPException as error:
            hint = "See docs/life-of-a-request.md for the routes."
            return error_response(GatewayError(error.status, "http_error", error.reason, hint), own)
        except Exception:
            # The traceback names code, never the request: bodies and keys stay out of logs.
            logger.exception("unexpected error, request %s", own["x-apex-request-id"])
            hint = "It is logged; retry, and report the request id."
            failure = GatewayError(500, "internal_error", "The gateway failed.", hint)
            return error_response(failure, own)
        response.headers.update(own)
        return response

    return guarded


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/v1/chat/completions", post_chat),
    ("POST", "/v1/embeddings", post_embeddings),
    ("GET", "/v1/models", get_models),
    ("GET", "/v1/models/{id:.+}", get_model),
    ("GET", "/health", get_health),
    ("GET", "/health/ready", get_ready),
    ("GET", "/health/metrics", get_metrics),
    ("*", "/{path:.*}", not_found),
)


def add_routes(app: web.Application) -> None:
    """Register every route: what is not listed here does not answer.

    The pipeline speaks for itself; the other handlers are guarded.
    """
    for method, path, handler in ROUTES:
        is_pipeline = handler in {post_chat, post_embeddings}
        app.router.add_route(method, path, handler if is_pipeline else speak_openai(handler))
        if method == "GET":
            app.router.add_route("HEAD", path, speak_openai(handler))
