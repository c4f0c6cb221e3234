"""The mock's Google side: the Gemini API below /v1beta/models. Its routes are added by app.py.

    POST {model}:generateContent        POST {model}:embedContent         GET /v1beta/models
    POST {model}:streamGenerateContent  POST {model}:batchEmbedContents   GET /v1beta/models/{id}
    POST {model}:countTokens

The POST routes are below /v1/models too, where Google's newer clients look for them. Keys come in
`x-goog-api-key` or `?key=`; the x-mock-* headers are those of the other routes, and x-mock-refusal
blocks the prompt. Only gemini-embedding-2 counts its tokens, as with Google.
"""

from typing import Any

import orjson
from aiohttp import web

from proxy.providers.mock.embeddings import MAX_INPUT_TOKENS, make_vector
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.failing import fail_before_answer
from proxy.providers.mock.faults import read_plan
from proxy.providers.mock.gemini_calls import GeminiCall, answers_in_googles_words
from proxy.providers.mock.gemini_chat import generate_content, stream_generate_content
from proxy.providers.mock.gemini_fields import camel_names, known_object, list_at
from proxy.providers.mock.gemini_rendering import usage_metadata
from proxy.providers.mock.gemini_requests import read_gemini_request
from proxy.providers.mock.rendering import Usage
from proxy.providers.mock.text import count_tokens
from proxy.providers.mock.validation import parse_body

GENERATING = (
    "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro", "gemini-3-flash-preview",
    "gemini-3.1-pro-preview", "gemini-3.5-flash",
)  # fmt: skip
EMBEDDING = ("gemini-embedding-001", "gemini-embedding-2")
MAX_BATCH = 100
_DIMENSIONS = 3072
_EMBED = frozenset({"model", "content", "taskType", "title", "outputDimensionality"})


def add_gemini_routes(app: web.Application) -> None:
    """Add the routes; the app holds the mock's state already."""
    for path, answer in (
        ("/models/{model:.+}:generateContent", generate_content),
        ("/models/{model:.+}:streamGenerateContent", stream_generate_content),
        ("/models/{model:.+}:countTokens", count_prompt),
        ("/models/{model:.+}:embedContent", embed_content),
        ("/models/{model:.+}:batchEmbedContents", batch_embed_contents),
    ):
        app.router.add_post(f"/v1beta{path}", answer)
        app.router.add_post(f"/v1{path}", answer)
    app.router.add_get("/v1beta/models", list_models)
    app.router.add_get("/v1beta/models/{id:.+}", show_model)


@answers_in_googles_words
async def count_prompt(http: web.Request) -> web.StreamResponse:
    GeminiCall(http)
    document = camel_names(parse_body(await http.read()))
    inner = document.get("generateContentRequest") or document
    request = read_gemini_request(http.match_info["model"], orjson.dumps(inner))
    metadata = usage_metadata(Usage(request.chat.prompt.tokens))
    return _json({
        "totalTokens": metadata["totalTokenCount"],
        "promptTokensDetails": metadata["promptTokensDetails"],
    })  # fmt: skip


@answers_in_googles_words
async def embed_content(http: web.Request) -> web.StreamResponse:
    return await _embed(http, is_batch=False)


@answers_in_googles_words
async def batch_embed_contents(http: web.Request) -> web.StreamResponse:
    return await _embed(http, is_batch=True)


async def _embed(http: web.Request, *, is_batch: bool) -> web.StreamResponse:
    call, model = GeminiCall(http), http.match_info["model"]
    body = await http.read()
    document = camel_names(parse_body(body))
    asked = list_at(document, "requests", "") if is_batch else [document]
    if not 0 < len(asked) <= MAX_BATCH:
        raise MockError(f"BatchEmbedContentsRequest.requests: from 1 to {MAX_BATCH} are allowed.")
    read = [_read_embedding(model, item, is_batch=is_batch) for item in asked]
    plan = call.state.attempts.settle(read_plan(http.headers), body)
    failure = await fail_before_answer(http, call, plan)
    if failure is not None:
        return failure
    vectors = [{"values": make_vector(text, model, size).tolist()} for text, size in read]
    answer: dict[str, Any] = {"embeddings": vectors} if is_batch else {"embedding": vectors[0]}
    tokens = sum(count_tokens(text) for text, _ in read)
    if model == "gemini-embedding-2" and plan.garbage != "no-usage":
        answer["usageMetadata"] = {"promptTokenCount": tokens, "totalTokenCount": tokens}
    data = orjson.dumps(answer)
    is_broken = plan.garbage == "broken-json"
    call.charge(model, Usage(tokens), is_complete=not is_broken)
    data = data[: len(data) // 2] if is_broken else data
    return web.Response(body=data, content_type="application/json", headers=call.headers())


def _read_embedding(model: str, value: Any, *, is_batch: bool) -> tuple[str, int]:
    """Return the text of one request and how many numbers its vector is to have."""
    request = known_object(value, _EMBED, "requests")
    if is_batch and request.get("model") != f"models/{model}":
        raise MockError(f"BatchEmbedContentsRequest.requests.model: expected models/{model}.")
    content = request.get("content")
    parts = list_at(content, "parts", "content.") if isinstance(content, dict) else []
    text = "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    if not text or count_tokens(text) > MAX_INPUT_TOKENS:
        raise MockError("EmbedContentRequest.content: it must hold a text that is not too long.")
    size = request.get("outputDimensionality") or _DIMENSIONS
    if not isinstance(size, int) or not 0 < size <= _DIMENSIONS:
        raise MockError(f"EmbedContentRequest.output_dimensionality: from 1 to {_DIMENSIONS}.")
    return text, size


@answers_in_googles_words
async def list_models(http: web.Request) -> web.StreamResponse:
    GeminiCall(http)
    return _json({"models": [_model_document(name) for name in (*GENERATING, *EMBEDDING)]})


@answers_in_googles_words
async def show_model(http: web.Request) -> web.StreamResponse:
    GeminiCall(http)
    name = http.match_info["id"]
    if name not in (*GENERATING, *EMBEDDING):
        raise MockError(f"models/{name[:100]} is not found for API version v1beta.", status=404)
    return _json(_model_document(name))


def _model_document(name: str) -> dict[str, object]:
    methods = ["generateContent", "countTokens"] if name in GENERATING else ["embedContent"]
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": methods,
    }


def _json(document: object) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")
