"""Errors of the mock provider in OpenAI's shape; raised by every module here, sent by app.py."""

from typing import Any

import orjson

_KIND_BY_STATUS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    408: ("server_error", "timeout"),
    409: ("invalid_request_error", "conflict"),
    413: ("invalid_request_error", "request_too_large"),
    422: ("invalid_request_error", "unprocessable"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "overloaded"),
}


class MockError(Exception):
    """An answer that is an error: HTTP status and the four fields of OpenAI's error object."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        kind, default_code = _KIND_BY_STATUS.get(
            status, ("server_error" if status >= 500 else "invalid_request_error", None)
        )
        self.status = status
        self.headers = headers or {}
        self.fields: dict[str, Any] = {
            "message": message,
            "type": kind,
            "param": param,
            "code": code or default_code,
        }

    def body(self) -> bytes:
        return orjson.dumps({"error": self.fields})


def wrong_type(param: str, expected: str, value: object) -> MockError:
    found = _JSON_NAMES.get(type(value), type(value).__name__)
    message = f"Invalid type for '{param}': expected {expected}, but got {found}."
    return MockError(message, param=param, code="invalid_type")


def missing(param: str) -> MockError:
    return MockError(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_value(param: str, message: str) -> MockError:
    return MockError(f"Invalid '{param}': {message}", param=param, code="invalid_value")


_JSON_NAMES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    type(None): "null",
}
