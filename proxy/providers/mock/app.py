"""The mock provider: an OpenAI-like server for trying and testing the gateway. roles/ runs it.

    POST /v1/chat/completions   streamed or not    GET /v1/models[/{id}]   GET /health
    POST /v1/embeddings         float or base64    GET /mock/bill          GET /mock/calls
    POST /v1/messages[/count_tokens]               in Anthropic's dialect (messages.py)
    and the rest of OpenAI's API (routes.py), all of it under Azure's paths too (azure.py)
    POST /v1/responses          streamed or not, kept, in the background: see responses.py
    POST /model/{id}/converse[-stream]             in Bedrock's dialect (bedrock.py)

Everything in an answer follows from the request body alone, but what the simulated prompt cache
adds to its usage. A token is four characters. These request headers make it misbehave:

    x-mock-latency-ms N            wait before the answer
    x-mock-token-ms N              wait before every token
    x-mock-output-tokens N         answer with a text of exactly N tokens
    x-mock-finish-reason R         stop | length | content_filter
    x-mock-refusal 1               refuse, in `message.refusal`
    x-mock-status S                answer with this error status, in OpenAI's shape
    x-mock-retry-after V           send this Retry-After (status 429 unless another is asked for)
    x-mock-reset 1                 reset the TCP connection before the answer
    x-mock-silence start|headers   say nothing, or nothing after the headers
    x-mock-silence-after-tokens N  say nothing after N tokens
    x-mock-cut-after-tokens N      close the connection after N tokens
    x-mock-garbage G               html | broken-json | no-usage | no-done | empty | error-event
    x-mock-fail-first N            fail only the first N attempts (with the failure asked for by
                                   the other headers, else 500), then answer
    x-mock-key K                   what counts as one attempt's id (else a digest of the body)

It keeps a bill of its own (bill.py), which the conservation check compares with our ledger.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
from aiohttp import web

from config.clock import Clock
from proxy.providers.mock import messages_call
from proxy.providers.mock.azure import add_azure_routes
from proxy.providers.mock.bedrock import add_bedrock_routes
from proxy.providers.mock.bill import Bill
from proxy.providers.mock.buckets import BucketPrices
from proxy.providers.mock.chat import answer_chat
from proxy.providers.mock.embeddings import embedding_document, read_embedding_request
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.exchange import read_body
from proxy.providers.mock.failing import fail_before_answer
from proxy.providers.mock.faults import read_plan
from proxy.providers.mock.gemini import add_gemini_routes
from proxy.providers.mock.messages import add_messages_routes, list_document, model_document
from proxy.providers.mock.messages_call import speaks_messages
from proxy.providers.mock.prices import PriceTable
from proxy.providers.mock.rendering import Usage
from proxy.providers.mock.responses import add_responses_routes
from proxy.providers.mock.routes import add_resource_routes
from proxy.providers.mock.state import STATE, Call, MockState, answer_headers, new_request_id

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024 * 1024
SHUTDOWN_S = 0.5
MODELS = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "o3", "o4-mini",
    "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002",
)  # fmt: skip

MESSAGES_MODELS = ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_mock_app(bill: Bill) -> web.Application:
    """Build the server; `bill` is the file it writes to and the clock it reads."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_answer_errors])
    app[STATE] = MockState(bill)
    app.router.add_post("/v1/chat/completions", answer_chat)
    app.router.add_post("/v1/embeddings", answer_embeddings)
    add_messages_routes(app, bill.clock)
    add_responses_routes(app)
    add_bedrock_routes(app)
    app.router.add_get("/v1/models", list_models)
    app.router.add_get("/v1/models/{id:.+}", show_model)
    add_gemini_routes(app)
    add_resource_routes(app)
    add_azure_routes(app)  # last: it repeats what is registered before it
    app.router.add_get("/mock/bill", show_bill)
    app.router.add_get("/mock/calls", show_calls)
    app.router.add_get("/health", show_health)
    return app


async def run_mock(
    host: str,
    port_socket: socket.socket,
    bill_path: Path,
    ready_callback: Callable[[], None],
    clock: Clock | None = None,
) -> None:
    """Serve on a bound socket until cancelled; calls back once it accepts connections."""
    with Bill(bill_path, clock or Clock(), PriceTable.load(), BucketPrices.load()) as bill:
        # Cancelled handlers are how a stream learns that its caller has left.
        runner = web.AppRunner(
            build_mock_app(bill),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=SHUTDOWN_S,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, port_socket, backlog=1024).start()
            port = port_socket.getsockname()[1]
            logger.info("mock provider on http://%s:%d/v1, bill in %s", host, port, bill_path)
            ready_callback()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the call and turn every error into the shape of the caller's dialect."""
    state = request.app[STATE]
    resource = request.match_info.route.resource
    state.calls_by_path[resource.canonical if resource else "other"] += 1
    try:
        response = await handler(request)
    except asyncio.CancelledError:
        state.clients_left += 1
        raise
    except MockError as error:
        response = _error_response(request, error)
    except web.HTTPRequestEntityTooLarge:
        too_large = MockError("The request body is too large.", status=413)
        response = _error_response(request, too_large)
    except web.HTTPException as error:
        message = f"Unknown request URL: {request.method} {request.path}."
        unknown = MockError(message, status=error.status, code="unknown_url")
        response = _error_response(request, unknown)
    state.answers_by_status[str(response.status)] += 1
    return response


def _error_response(request: web.Request, error: MockError) -> web.Response:
    if speaks_messages(request):
        return messages_call.error_response(error)
    return web.Response(
        status=error.status,
        body=error.body(),
        content_type="application/json",
        headers={**answer_headers(new_request_id()), **error.headers},
    )


async def answer_embeddings(http: web.Request) -> web.StreamResponse:
    call = Call(http)
    body = await read_body(http)
    request = read_embedding_request(body)
    plan = call.state.attempts.settle(read_plan(http.headers), body)
    failure = await fail_before_answer(http, call, plan)
    if failure is not None:
        return failure
    document = embedding_document(request)
    if plan.garbage == "no-usage":
        del document["usage"]
    answer = orjson.dumps(document)
    is_broken = plan.garbage == "broken-json"
    if is_broken:
        answer = answer[: len(answer) // 2]
    call.charge(request.model, Usage(request.count_tokens()), is_complete=not is_broken)
    return web.Response(body=answer, content_type="application/json", headers=call.headers())


async def list_models(http: web.Request) -> web.Response:
    if speaks_messages(http):
        messages_call.MessagesCall(http)
        return _json(list_document(MESSAGES_MODELS))
    Call(http)
    return _json({"object": "list", "data": [_model_document(name) for name in MODELS]})


async def show_model(http: web.Request) -> web.Response:
    name = http.match_info["id"]
    if speaks_messages(http):
        messages_call.MessagesCall(http)
        if name not in MESSAGES_MODELS:
            raise MockError(f"model: {name}", status=404)
        return _json(model_document(name))
    Call(http)
    if name not in MODELS:
        raise MockError(f"The model '{name}' does not exist.", status=404, param="model")
    return _json(_model_document(name))


def _model_document(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "mock"}


async def show_bill(http: web.Request) -> web.Response:
    data = await asyncio.to_thread(http.app[STATE].bill.read_json)
    return web.Response(body=data, content_type="application/json")


async def show_calls(http: web.Request) -> web.Response:
    state = http.app[STATE]
    return _json({
        "total": state.calls_by_path.total(),
        "by_path": dict(state.calls_by_path),
        "by_status": dict(state.answers_by_status),
        "clients_left": state.clients_left,
        "billed": state.billed,
    })  # fmt: skip


async def show_health(_: web.Request) -> web.Response:
    return _json({"status": "ok"})


def _json(document: object) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")
