"""Errors between Google's shape and OpenAI's; used by gemini_translators.py and for native callers.

Google: {"error": {"code": 429, "message": "...", "status": "RESOURCE_EXHAUSTED"}}.
"""

from collections.abc import Mapping
from typing import Any

from proxy.providers.translation import Document

_STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# Google's status word -> OpenAI's (type, code)
_KINDS: dict[str, tuple[str, str | None]] = {
    "INVALID_ARGUMENT": ("invalid_request_error", None),
    "FAILED_PRECONDITION": ("invalid_request_error", "failed_precondition"),
    "OUT_OF_RANGE": ("invalid_request_error", None),
    "UNIMPLEMENTED": ("invalid_request_error", None),
    "UNAUTHENTICATED": ("invalid_request_error", "invalid_api_key"),
    "PERMISSION_DENIED": ("invalid_request_error", "permission_denied"),
    "NOT_FOUND": ("invalid_request_error", "model_not_found"),
    "RESOURCE_EXHAUSTED": ("requests", "rate_limit_exceeded"),
}
_LONGEST_MESSAGE = 4096


def gemini_error(status: int, message: str) -> Document:
    """Return Google's error document for an HTTP status."""
    default = "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"
    word = _STATUS_WORDS.get(status, default)
    return {"error": {"code": status, "message": message, "status": word}}


def chat_error(document: Any) -> Document | None:
    """Return OpenAI's error document of Google's; None when it is none of Google's.

    An array of one, as the API answers streams that are not server-sent events, is taken too.
    """
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    error = document.get("error") if isinstance(document, Mapping) else None
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return None
    word = error.get("status")
    if not isinstance(word, str):
        code = error.get("code")
        word = _STATUS_WORDS.get(code, "INTERNAL") if isinstance(code, int) else "INTERNAL"
    kind, code = _KINDS.get(word, ("server_error", word.lower()[:40]))
    if _has_reason(error, "API_KEY_INVALID"):
        code = "invalid_api_key"
    message = error["message"][:_LONGEST_MESSAGE]
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _has_reason(error: Mapping[str, Any], reason: str) -> bool:
    details = error.get("details")
    found = details if isinstance(details, list) else []
    return any(isinstance(item, Mapping) and item.get("reason") == reason for item in found)
