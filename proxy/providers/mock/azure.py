"""Azure's paths to the same answers: by deployment, by api-version, and its newer /openai/v1.

Called by app.py after every other route is there. Azure takes the key in `api-key` (state.py).
"""

from typing import Any

from aiohttp import web

from proxy.providers.mock.errors import MockError
from proxy.providers.mock.exchange import Handler
from proxy.providers.mock.state import AZURE_PREFIX

_DEPLOYED = frozenset({
    "chat/completions", "completions", "embeddings", "audio/speech", "audio/transcriptions",
    "audio/translations", "images/generations", "images/edits",
})  # fmt: skip
_HARMLESS = {"filtered": False, "severity": "safe"}
_CATEGORIES = ("hate", "self_harm", "sexual", "violence")


def add_azure_routes(app: web.Application) -> None:
    """Add Azure's twin of every /v1 route that is there."""
    for route in list(app.router.routes()):
        path = route.resource.canonical if route.resource else ""
        if not path.startswith("/v1/"):
            continue
        rest = path.removeprefix("/v1/").replace("models/{id}", "models/{id:.+}")
        app.router.add_route(route.method, f"/openai/v1/{rest}", route.handler)
        dated = f"deployments/{{deployment}}/{rest}" if rest in _DEPLOYED else rest
        app.router.add_route(route.method, f"/openai/{dated}", _dated(route.handler))


def _dated(handler: Any) -> Handler:
    """Let only calls with an api-version pass."""

    async def answer(http: web.Request) -> web.StreamResponse:
        if not http.query.get("api-version"):
            message = "Missing required query parameter: 'api-version'."
            raise MockError(message, param="api-version", code="missing_api_version")
        response: web.StreamResponse = await handler(http)
        return response

    return answer


def is_azure(http: web.Request) -> bool:
    return http.path.startswith(AZURE_PREFIX)


def harmless_content() -> dict[str, Any]:
    """Make the verdict of Azure's content filter on a choice it has nothing against."""
    return {name: dict(_HARMLESS) for name in _CATEGORIES}


def prompt_filter_results() -> list[dict[str, Any]]:
    """Make the verdict on a prompt, as in the body of an answer and in a stream's first chunk."""
    return [{"prompt_index": 0, "content_filter_results": harmless_content()}]


def first_chunk() -> dict[str, Any]:
    """Make the chunk Azure begins a chat stream with; it has no choices and no ids.

    Its shape is the one in Azure's published reference of content filtering with streams.
    """
    return {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": prompt_filter_results(),
    }
