"""Who calls the mock's Anthropic side, and its errors in Anthropic's shape.

Called by messages.py, and by app.py for the errors and lists of callers that speak Messages.
"""

import orjson
from aiohttp import web

from proxy.providers.mock.errors import MockError
from proxy.providers.mock.state import REFUSED_KEY_PREFIX, STATE, Call, new_request_id

VERSION_HEADER = "anthropic-version"
_KIND_BY_STATUS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_LIMITS = {
    "anthropic-organization-id": "org-mock",
    "anthropic-ratelimit-requests-limit": "10000",
    "anthropic-ratelimit-requests-remaining": "9999",
    "anthropic-ratelimit-input-tokens-limit": "2000000",
    "anthropic-ratelimit-input-tokens-remaining": "1999000",
}


class MessagesCall(Call):
    """One request to the Anthropic side; MockError when key or version is missing."""

    def __init__(self, request: web.Request) -> None:
        self.state = request.app[STATE]
        self.api_key = _key(request)
        if VERSION_HEADER not in request.headers:
            raise MockError(f"{VERSION_HEADER}: header is required")
        self.request_id = new_request_id()
        self.bill_id = request.headers.get("x-client-request-id", self.request_id)
        self.is_billed = False

    def headers(self) -> dict[str, str]:
        return {**_LIMITS, "request-id": self.request_id}


def _key(request: web.Request) -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    key = request.headers.get("x-api-key", bearer if scheme.lower() == "bearer" else "").strip()
    if not key:
        raise MockError("x-api-key header is required", status=401)
    if key.startswith(REFUSED_KEY_PREFIX):
        raise MockError("invalid x-api-key", status=401)
    return key


def speaks_messages(request: web.Request) -> bool:
    """Whether the caller expects Anthropic's shapes."""
    return VERSION_HEADER in request.headers or request.path.startswith("/v1/messages")


def error_body(error: MockError, request_id: str | None = None) -> bytes:
    """Write an error the way Anthropic does."""
    fallback = "api_error" if error.status >= 500 else "invalid_request_error"
    kind = _KIND_BY_STATUS.get(error.status, fallback)
    document = {"type": "error", "error": {"type": kind, "message": str(error)}}
    return orjson.dumps(document if request_id is None else {**document, "request_id": request_id})


def error_response(error: MockError) -> web.Response:
    request_id = new_request_id()
    return web.Response(
        status=error.status,
        body=error_body(error, request_id),
        content_type="application/json",
        headers={**_LIMITS, "request-id": request_id, **error.headers},
    )
