"""What a caller is told when a request cannot be answered; raised by every stage, mapped by app.py.

The body is the shape OpenAI clients unwrap: {"error": {message, type, param, code}}.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from proxy.error_shapes import ErrorShape, shape_error

# OpenAI's clients tell an empty purse from haste by the type as much as by the code.
TYPES_BY_CODE = {"insufficient_quota": "insufficient_quota"}
ERROR_TYPES = {401: "invalid_request_error", 403: "invalid_request_error", 429: "rate_limit_error"}


class GatewayError(Exception):
    """A refusal or failure with everything the reply needs; `hint` says how to fix it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = f"{message} {hint}".strip()
        self.param = param
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Return the error in the shape the official clients read."""
        fallback = "invalid_request_error" if self.status < 500 else "server_error"
        kind = TYPES_BY_CODE.get(self.code) or ERROR_TYPES.get(self.status, fallback)
        return error_document(self.message, kind, self.param, self.code)


class InvalidRequestError(GatewayError):
    """400: the caller's document is wrong; never retried, never sent upstream."""

    def __init__(self, message: str, hint: str, *, param: str | None = None) -> None:
        super().__init__(400, "invalid_request", message, hint, param=param)


class ClientGoneError(Exception):
    """The caller left while the answer was being written."""


def error_document(message: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    """Build OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_response(
    error: GatewayError, extra: Mapping[str, str], shape: ErrorShape = "openai"
) -> web.Response:
    """Turn an error into the HTTP reply, in the shape the caller's client reads."""
    return web.Response(
        status=error.status,
        body=orjson.dumps(shape_error(error.document(), error.status, shape)),
        content_type="application/json",
        headers={**extra, **error.headers},
    )
