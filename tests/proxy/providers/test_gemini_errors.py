"""Errors between Google's shape and OpenAI's, from published payloads and hostile ones."""

from typing import Any

import pytest

from proxy.providers.gemini_errors import chat_error, gemini_error

# Google's own, of FirebaseExtended/vertexai-sdk-test-data: unary-failure-api-key.txt
BAD_KEY = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
            }
        ],
    }
}


def test_bad_key() -> None:
    assert chat_error(BAD_KEY) == {
        "error": {
            "message": "API key not valid. Please pass a valid API key.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (403, "invalid_request_error", "permission_denied"),
        (404, "invalid_request_error", "model_not_found"),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", "internal"),
        (503, "server_error", "unavailable"),
        (504, "server_error", "deadline_exceeded"),
        (418, "invalid_request_error", None),
        (599, "server_error", "internal"),
    ],
)
def test_there_and_back(status: int, kind: str, code: str | None) -> None:
    document = gemini_error(status, "No.")
    assert document["error"]["code"] == status
    error = chat_error(document)
    assert error is not None
    fields = {"message": "No.", "type": kind, "param": None, "code": code}
    assert error["error"] == fields
    assert chat_error([document]) == error


def test_error_without_its_word() -> None:
    error = chat_error({"error": {"code": 429, "message": "Slow down."}})
    assert error is not None
    assert error["error"]["code"] == "rate_limit_exceeded"
    error = chat_error({"error": {"message": "Odd."}})
    assert error is not None
    assert error["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"error": "no"}, {"error": {}}, {"error": {"message": 1}}, [1, 2], ""],
)
def test_what_is_none_of_googles(document: Any) -> None:
    assert chat_error(document) is None
