"""The data plane's routes; all others get a 404 in OpenAI's shape. Built into an app by app.py.

No route answers outside authentication, except health.
"""

from typing import Final

import orjson
from aiohttp import web

from config.metrics import render_metrics
from proxy.auth import identify
from proxy.errors import GatewayError
from proxy.health import ProxyHealth
from proxy.models import list_document, model_document
from proxy.pipeline import Pipeline

PIPELINE: Final = web.AppKey("pipeline", Pipeline)
HEALTH: Final = web.AppKey("health", ProxyHealth)
DIALECTS_TO_COME = ("responses", "messages", "completions", "images", "audio", "files", "batches")
PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def post_chat(request: web.Request) -> web.StreamResponse:
    """Answer POST /v1/chat/completions."""
    return await request.app[PIPELINE].handle(request, "chat")


async def post_embeddings(request: web.Request) -> web.StreamResponse:
    """Answer POST /v1/embeddings."""
    return await request.app[PIPELINE].handle(request, "embeddings")


def _authenticate(request: web.Request) -> None:
    live = request.app[PIPELINE].holder.live
    identify(request.headers, live.snapshot, live.pepper)


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
    hint = "It speaks POST /v1/chat/completions, POST /v1/embeddings and GET /v1/models."
    if rest in DIALECTS_TO_COME:
        hint = f"The {rest} dialect comes with a later release. " + hint
    raise GatewayError(
        404, "unknown_route", f"{request.method} {request.path[:128]} is not served.", hint
    )


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


def add_routes(app: web.Application) -> None:
    """Register every route."""
    router = app.router
    router.add_post("/v1/chat/completions", post_chat)
    router.add_post("/v1/embeddings", post_embeddings)
    router.add_get("/v1/models", get_models)
    router.add_get("/v1/models/{id:.+}", get_model)
    router.add_get("/health", get_health)
    router.add_get("/health/ready", get_ready)
    router.add_get("/health/metrics", get_metrics)
    router.add_route("*", "/{path:.*}", not_found)
