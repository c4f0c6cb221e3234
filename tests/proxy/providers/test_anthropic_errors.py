"""Errors in both directions."""

from typing import Any

import pytest

from proxy.providers.anthropic_errors import anthropic_error, to_chat_error, to_messages_error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_kind_follows_status(status: int, kind: str) -> None:
    document = anthropic_error(status, "why", "req_1")
    assert document == {
        "type": "error",
        "error": {"type": kind, "message": "why"},
        "request_id": "req_1",
    }
    assert "request_id" not in anthropic_error(status, "why")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, "authentication_error"),
        ({"code": "insufficient_quota"}, "rate_limit_error"),
        ({"code": "model_not_found"}, "not_found_error"),
        ({"code": 429}, "rate_limit_error"),
        ({"type": "overloaded_error"}, "overloaded_error"),
        ({"type": "server_error"}, "api_error"),
        ({"type": "never_seen", "param": "n"}, "invalid_request_error"),
        ({"type": "never_seen"}, "api_error"),
    ],
)
def test_kind_follows_code_and_type(error: dict[str, Any], kind: str) -> None:
    document = to_messages_error({"error": {"message": "m", **error}})
    assert document == {"type": "error", "error": {"type": kind, "message": "m"}}


def test_a_message_alone_is_an_error_too() -> None:
    document = to_messages_error({"error": "broken"})
    assert document == {"type": "error", "error": {"type": "api_error", "message": "broken"}}


@pytest.mark.parametrize("document", [{}, {"error": None}, {"error": ""}, {"error": {}}])
def test_what_is_no_error_is_none(document: dict[str, Any]) -> None:
    assert to_messages_error(document) is None
    assert to_chat_error(document) is None


def test_long_prompts_get_the_code_clients_look_for() -> None:
    error = {"type": "invalid_request_error", "message": "Prompt is too long: 300000 tokens"}
    document = to_chat_error({"type": "error", "error": error})
    assert document is not None
    assert document["error"]["code"] == "context_length_exceeded"
    assert to_chat_error({"error": {"type": "api_error", "message": 7}}) == {
        "error": {
            "message": "The provider gave no message.",
            "type": "api_error",
            "param": None,
            "code": "api_error",
        }
    }
