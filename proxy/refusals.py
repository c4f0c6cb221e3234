"""The error a caller gets when every attempt failed. Called by upstream.py.

An upstream's own JSON error passes through as it is, with its status; anything else becomes the
same class of error in OpenAI's shape. Retry headers are made so that clients do not multiply our
own retries.
"""

from collections.abc import Mapping

import orjson
from aiohttp import web

from ledger.events import Outcome
from proxy.errors import GatewayError
from proxy.retry import CREDENTIAL_STATUSES, Failure
from proxy.wire_headers import headers_down

HTTP_BAD_GATEWAY = 502
HTTP_GATEWAY_TIMEOUT = 504


class RelayedError(GatewayError):
    """An upstream's error that goes to the caller byte for byte."""

    def __init__(self, failure: Failure, headers: Mapping[str, str]) -> None:
        super().__init__(failure.status, failure.code, failure.message, headers=headers)
        self.body = failure.body

    def response(self, extra: Mapping[str, str]) -> web.Response:
        """Build the reply with the upstream's own bytes."""
        return web.Response(
            status=self.status,
            body=self.body,
            content_type="application/json",
            headers={**extra, **self.headers},
        )


def refusal_of(failure: Failure, *, has_retried: bool, upstream: str = "") -> GatewayError:
    """Return the error for the caller after the last attempt failed."""
    headers = headers_down(failure.headers)
    if has_retried and failure.cure != "none":
        headers["x-should-retry"] = "false"
    if failure.status in CREDENTIAL_STATUSES:
        return GatewayError(
            HTTP_BAD_GATEWAY,
            failure.code,
            failure.message,
            _credential_hint(upstream),
            headers={"x-should-retry": "false"},
        )
    if failure.status and _is_error_object(failure.body):
        return RelayedError(failure, headers)
    return GatewayError(
        _status_of(failure),
        failure.code,
        failure.message,
        _hint_of(failure, upstream),
        headers=headers,
    )


def _credential_hint(upstream: str) -> str:
    if "@" in upstream or "/" in upstream:  # a door of the tenant's own
        return f"Rotate your own credential at {upstream}; the caller's key is fine."
    return "The operator must check this upstream's api_key; the caller's key is fine."


def _hint_of(failure: Failure, upstream: str) -> str:
    if failure.outcome is Outcome.refused:
        return ""  # its message says how
    if failure.cure == "none":
        return "Check the request."
    return (
        f"Retry later; the operator finds it as upstream {upstream!r}."
        if upstream
        else "Retry later."
    )


def _status_of(failure: Failure) -> int:
    if failure.status:
        return failure.status
    if failure.outcome is Outcome.upstream_timeout:
        return HTTP_GATEWAY_TIMEOUT
    return HTTP_BAD_GATEWAY


def _is_error_object(body: bytes) -> bool:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and isinstance(document.get("error"), (dict, str))
