"""Errors between Anthropic's shape and OpenAI's; called by both translations and the replies.

Anthropic's: {"type": "error", "error": {"type", "message"}, "request_id"}.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.translation import Document

KIND_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
KIND_BY_CODE = {
    "invalid_api_key": "authentication_error",
    "missing_api_key": "authentication_error",
    "model_not_found": "not_found_error",
    "unknown_url": "not_found_error",
    "request_too_large": "request_too_large",
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "rate_limit_error",
    "overloaded": "overloaded_error",
    "server_error": "api_error",
}
KINDS = frozenset({*KIND_BY_STATUS.values(), "api_error"})
TOO_LONG = ("prompt is too long", "input length and `max_tokens` exceed context limit")


def anthropic_error(status: int, message: str, request_id: str | None = None) -> Document:
    """Build the error document for an HTTP status."""
    fallback = "api_error" if status >= 500 else "invalid_request_error"
    return error_of_kind(KIND_BY_STATUS.get(status, fallback), message, request_id)


def error_of_kind(kind: str, message: str, request_id: str | None = None) -> Document:
    document: Document = {"type": "error", "error": {"type": kind, "message": message}}
    return document if request_id is None else {**document, "request_id": request_id}


def to_chat_error(document: Mapping[str, Any]) -> Document | None:
    """Return OpenAI's error of Anthropic's; None when it is none of theirs."""
    error = document.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("type"), str):
        return None
    message = error.get("message")
    message = message if isinstance(message, str) else "The provider gave no message."
    is_too_long = message.lower().startswith(TOO_LONG)
    code = "context_length_exceeded" if is_too_long else error["type"]
    return {"error": {"message": message, "type": error["type"], "param": None, "code": code}}


def to_messages_error(document: Mapping[str, Any]) -> Document | None:
    """Return Anthropic's error of OpenAI's; None when it is none of theirs."""
    error = document.get("error")
    if isinstance(error, str) and error:
        error = {"message": error}
    if not isinstance(error, dict) or not error:
        return None
    message = error.get("message")
    text = message if isinstance(message, str) else "The provider gave no message."
    return error_of_kind(_kind(error), text)


def _kind(error: Mapping[str, Any]) -> str:
    """Read the kind off code or type; numbers among the codes are HTTP statuses."""
    for value in (error.get("code"), error.get("type")):
        if isinstance(value, int) and value >= 400:
            return str(anthropic_error(value, "")["error"]["type"])
        if isinstance(value, str) and value in KINDS:
            return value
        if isinstance(value, str) and value in KIND_BY_CODE:
            return KIND_BY_CODE[value]
    return "invalid_request_error" if error.get("param") else "api_error"
