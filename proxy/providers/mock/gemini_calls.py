"""One call of Google's API to the mock: who asks, and errors as Google writes them.

Used by gemini.py and gemini_chat.py.
"""

from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from proxy.providers.gemini_errors import gemini_error
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.state import REFUSED_KEY_PREFIX, STATE, Call, new_request_id

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class GeminiCall(Call):
    """A call known by `x-goog-api-key` or by `?key=`; for the rest, one like every other."""

    def __init__(self, request: web.Request) -> None:
        self.state = request.app[STATE]
        self.api_key = _key_of(request)
        self.request_id = new_request_id()
        self.bill_id = request.headers.get("x-client-request-id", self.request_id)
        self.is_billed = False
        self.service_tier = "standard"

    def headers(self) -> dict[str, str]:
        return {"x-request-id": self.request_id, "x-gemini-service-tier": self.service_tier}


def _key_of(request: web.Request) -> str:
    key = request.headers.get("x-goog-api-key") or request.query.get("key") or ""
    if not key.strip():
        message = "Method doesn't allow unregistered callers. Please use API Key."
        raise MockError(message, status=403)
    if key.startswith(REFUSED_KEY_PREFIX):
        raise MockError("API key not valid. Please pass a valid API key.", code="invalid_api_key")
    return key.strip()


def answers_in_googles_words(answer: Answering) -> Answering:
    """Wrap an answering function so that its errors have Google's shape."""

    async def answer_or_error(http: web.Request) -> web.StreamResponse:
        try:
            return await answer(http)
        except MockError as error:
            return _error_response(error)
        except web.HTTPRequestEntityTooLarge:
            return _error_response(MockError("Request payload size exceeds the limit.", status=413))

    return answer_or_error


def error_body(error: MockError) -> bytes:
    """Write an error as Google does; a bad key with the reason clients look for."""
    document = gemini_error(error.status, str(error))
    if error.fields["code"] == "invalid_api_key":
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        detail = {"@type": kind, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        document["error"]["details"] = [detail]
    return orjson.dumps(document)


def _error_response(error: MockError) -> web.Response:
    headers = {"x-request-id": new_request_id(), **error.headers}
    return web.Response(
        status=error.status,
        body=error_body(error),
        content_type="application/json",
        headers=headers,
    )
