"""The data plane's routes; all others get a 404 in OpenAI's shape. Built into an app by app.py.

No route answers outside authentication, except health.
"""

import logging
from collections.abc import Awaitable
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from config.metrics import render_metrics
from proxy.admission import new_request_id
from proxy.dialects.dialect import Dialect
from proxy.dialects.table import AZURE_OPERATIONS, GEMINI_VERBS, OPENAI_PATHS
from proxy.errors import GatewayError, error_response
from proxy.front import Answerer, DirectRequest
from proxy.health import ProxyHealth
from proxy.models import anthropic_list, gemini_list, list_document, model_document
from proxy.own_models import Models
from proxy.pipeline import Pipeline
from proxy.ready_response import ReadyResponse
from proxy.realtime import Realtime
from proxy.resources.relay import ResourceRelay
from proxy.scopes import visible_models
from proxy.strict_server import check_expectation

logger = logging.getLogger(__name__)

PIPELINE: Final = web.AppKey("pipeline", Pipeline)
RELAY: Final = web.AppKey("relay", ResourceRelay)
REALTIME: Final = web.AppKey("realtime", Realtime)
HEALTH: Final = web.AppKey("health", ProxyHealth)
# Dialect paths below which the provider keeps objects.
KEPT_COLLECTIONS = frozenset({"/v1/responses", "/v1/chat/completions"})
PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def speak(dialect: Dialect) -> Handler:
    """Return the handler of one dialect whose requests name their model in the body."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await request.app[PIPELINE].handle(request, dialect)

    return handle


async def post_gemini(request: web.Request) -> web.StreamResponse:
    """Answer Google's paths: model and streaming are in the path, {model}:{verb}."""
    model, _, verb = request.match_info["call"].rpartition(":")
    dialect = GEMINI_VERBS.get(verb)
    is_streaming = verb == "streamGenerateContent"
    if not model or dialect is None:
        return await speak_openai(not_found)(request)
    if is_streaming and request.query.get("alt") != "sse":
        return await speak_openai(refuse_json_stream)(request)
    pipeline = request.app[PIPELINE]
    return await pipeline.handle(request, dialect, model=model, is_streaming=is_streaming)


async def refuse_json_stream(request: web.Request) -> web.Response:
    """Refuse Google's older form of a stream, one endless JSON list."""
    await _models_of(request)
    hint = "Ask for server-sent events: add ?alt=sse, as Google's own clients do."
    raise GatewayError(400, "invalid_request", "Only streams of events are served.", hint)


async def post_deployment(request: web.Request) -> web.StreamResponse:
    """Answer Azure's paths: the deployment is the model, whatever the body says."""
    operation, model = request.match_info["operation"], request.match_info["model"]
    dialect = AZURE_OPERATIONS.get(operation)
    if dialect is not None:
        return await request.app[PIPELINE].handle(request, dialect, model=model)
    return await request.app[RELAY].handle(request, operation, model)


async def post_azure(request: web.Request) -> web.StreamResponse:
    """Answer Azure's other paths, which are OpenAI's below /openai/ or /openai/v1/."""
    path = request.rel_url.raw_path.removeprefix("/openai/").removeprefix("v1/")
    dialect = OPENAI_PATHS.get(f"/v1/{path}") if request.method == "POST" else None
    if dialect is not None:
        return await request.app[PIPELINE].handle(request, dialect)
    if path == "realtime":
        return await get_realtime(request)
    return await request.app[RELAY].handle(request, path)


async def relay(request: web.Request) -> web.StreamResponse:
    """Relay everything else below /v1/."""
    path = request.rel_url.raw_path
    if path in OPENAI_PATHS and path not in KEPT_COLLECTIONS:
        return await speak_openai(not_found)(request)
    return await request.app[RELAY].handle(request, path.removeprefix("/v1/"))


async def get_realtime(request: web.Request) -> web.StreamResponse:
    """Answer GET /v1/realtime, a web socket."""
    return await request.app[REALTIME].handle(request)


async def _models_of(request: web.Request) -> tuple[Models, float]:
    """The models the caller's key may ask for, and when they were declared in Unix seconds.

    Raises 401, or 429 past the limits of the key.
    """
    admission = request.app[PIPELINE].admission
    live = admission.holder.live
    key = admission.authenticate(request.headers, live)
    await admission.governor.admit_free(key, live)
    models = live.models_of(key.tenant)
    visible = {name: models[name] for name in visible_models(models, key)}
    return visible, live.snapshot.built_at


async def get_models(request: web.Request) -> web.Response:
    """Answer GET /v1/models, in Anthropic's and Google's forms to their clients."""
    models, built_at = await _models_of(request)
    if "anthropic-version" in request.headers:
        return _json(anthropic_list(models, built_at))
    if "x-goog-api-key" in request.headers:
        return _json(gemini_list(models))
    return _json(list_document(models, built_at))


async def get_model(request: web.Request) -> web.Response:
    """Answer GET /v1/models/{id}; ids may contain slashes."""
    models, built_at = await _models_of(request)
    return _json(model_document(models, request.match_info["id"], built_at))


async def get_gemini_models(request: web.Request) -> web.Response:
    """Answer GET /v1beta/models, in Google's form."""
    models, _ = await _models_of(request)
    return _json(gemini_list(models))


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
    await _models_of(request)
    hint = "Served are the dialects and routes in docs/dialects.md, below /v1/."
    if f"/v1{request.path}" in OPENAI_PATHS:
        hint = "The base_url of a client must end in /v1. " + hint
    is_known = request.path in OPENAI_PATHS or request.path == "/v1/models"
    message = f"{request.method} {request.path[:128]} is not served."
    raise GatewayError(405 if is_known else 404, "unknown_route", message, hint)


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


RELAYED_METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH")
# These answer for themselves, in the caller's own dialect; the others are guarded.
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    *(("POST", path, speak(dialect)) for path, dialect in OPENAI_PATHS.items()),
    ("GET", "/v1/realtime", get_realtime),
    ("POST", "/v1beta/models/{call:.+}", post_gemini),
    ("POST", "/v1/models/{call:.+}", post_gemini),  # Google's newer clients
    ("POST", "/openai/deployments/{model}/{operation:.+}", post_deployment),
    *((method, "/openai/{path:.+}", post_azure) for method in RELAYED_METHODS),
)
GUARDED: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v1/models", get_models),
    ("GET", "/v1/models/{id:.+}", get_model),
    ("GET", "/v1beta/models", get_gemini_models),
    ("GET", "/health", get_health),
    ("GET", "/health/ready", get_ready),
    ("GET", "/health/metrics", get_metrics),
    ("*", "/v1/models", not_found),
    *((method, "/v1/{path:.+}", relay) for method in RELAYED_METHODS),
    ("*", "/{path:.*}", not_found),
)


class DialectAnswerer:
    """Answers the plain calls of one dialect for the front; its path is in ROUTES, too."""

    def __init__(self, pipeline: Pipeline, dialect: Dialect) -> None:
        self._pipeline = pipeline
        self._dialect = dialect

    def answer_at_hand(self, request: DirectRequest) -> ReadyResponse | None:
        """Return a stored answer to bytes that came before."""
        return self._pipeline.answer_at_hand(request, self._dialect)

    def answer(self, request: DirectRequest) -> Awaitable[web.StreamResponse]:
        """Answer by all stages."""
        return self._pipeline.handle(request, self._dialect)

    def note_departure(self, request: DirectRequest) -> None:
        """Record a caller who left before the body was whole."""
        admission = self._pipeline.admission
        admission.note_early_departure(admission.open(self._dialect), request)


def direct_answerers(pipeline: Pipeline) -> dict[str, Answerer]:
    """Return who answers the dialects' paths without a router."""
    return {path: DialectAnswerer(pipeline, dialect) for path, dialect in OPENAI_PATHS.items()}


def add_routes(app: web.Application) -> None:
    """Register every route: what is not listed here does not answer."""
    for method, path, handler in ROUTES:
        app.router.add_route(method, path, handler, expect_handler=check_expectation)
    for method, path, handler in GUARDED:
        is_own = handler is relay
        shown = handler if is_own else speak_openai(handler)
        app.router.add_route(method, path, shown, expect_handler=check_expectation)
        if method == "GET" and not is_own:
            app.router.add_route("HEAD", path, speak_openai(handler))
