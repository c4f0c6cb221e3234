"""Errors in the shape each caller's client reads: OpenAI's, Anthropic's, Google's (pure).

Used by errors.py for whole answers and by stream_reply.py for errors inside a stream.
"""

from typing import Any, Literal

import orjson

ErrorShape = Literal["openai", "responses", "anthropic", "gemini"]

# Anthropic's and Google's clients choose their exception by status; the words are for people.
ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def shape_error(document: dict[str, Any], status: int, shape: ErrorShape) -> dict[str, Any]:
    """Return OpenAI's error document in another shape; the code goes into the message there."""
    error = document["error"]
    if shape == "anthropic":
        return {"type": "error", "error": {
            "type": anthropic_type(status), "message": error["message"],
        }}  # fmt: skip
    if shape == "gemini":
        word = GOOGLE_STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
        return {"error": {"code": status, "message": error["message"], "status": word}}
    return document


def anthropic_type(status: int) -> str:
    """Return the type of an error by its status; any other of the caller's is invalid."""
    fallback = "invalid_request_error" if status < 500 else "api_error"
    return ANTHROPIC_TYPES.get(status, fallback)


def shape_error_event(
    document: dict[str, Any], status: int, shape: ErrorShape, number: int = 0
) -> bytes:
    """Return the event that makes the caller's official client raise in the middle of a stream.

    `number` is the event's place in a stream whose events are numbered.
    """
    shaped = shape_error(document, status, shape)
    if shape == "responses":
        # One event for both kinds of reader: those that look at its type and those at `error`.
        error = document["error"]
        shaped = {"type": "error", "code": error["code"], "message": error["message"],
                  "param": error["param"], "sequence_number": number, **document}  # fmt: skip
    name = b"event: error\n" if shape in {"anthropic", "responses"} else b""
    return b"%bdata: %b\n\n" % (name, orjson.dumps(shaped))
