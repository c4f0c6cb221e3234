"""Requests the real API refuses are refused, in its error shape."""

from typing import Any

import pytest

from tests.proxy.providers.mock.server import BODY, MockServer

USER = {"role": "user", "content": "Hi."}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "a"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{**USER, "role": "boss"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{**USER, "content": 7}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{**USER, "content": [7]}]}, "messages[0].content[0]", "invalid_type"),
        (
            {"messages": [{**USER, "content": [{}]}]},
            "messages[0].content[0].type",
            "missing_required_parameter",
        ),
        (
            {"messages": [{**USER, "role": "tool"}]},
            "messages[0].tool_call_id",
            "missing_required_parameter",
        ),
        ({"model": 4}, "model", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"top_p": True}, "top_p", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {}}, "stream_options", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"stop": ["a"] * 5}, "stop", "invalid_value"),
        ({"stop": [1]}, "stop", "invalid_type"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "invalid_value",
        ),
    ],
)
async def test_refused(mock: MockServer, fields: dict[str, Any], param: str, code: str) -> None:
    status, answer = await mock.post({**BODY, **fields})
    error = answer["error"]
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == (param, code)
    assert error["message"]


@pytest.mark.parametrize("fields", [{"model": None}, {"model": ""}])
async def test_model_is_needed(mock: MockServer, fields: dict[str, Any]) -> None:
    status, answer = await mock.post({**BODY, **fields})
    assert status == 400
    assert "model" in answer["error"]["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'"text"', b'{"model": "\xff"}'])
async def test_not_a_json_object(mock: MockServer, body: bytes) -> None:
    async with mock.http.post(f"{mock.url}/v1/chat/completions", data=body) as reply:
        assert reply.status == 400
        assert "JSON" in (await reply.json())["error"]["message"]


async def test_unknown_fields_and_parts_pass(mock: MockServer) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "A" * 600, "format": "wav"}},
        {"type": "hologram", "hologram": {}},
    ]
    body = {**BODY, "messages": [{"role": "user", "content": parts}], "brand_new_field": {"a": 1}}
    status, answer = await mock.post(body)
    assert status == 200
    assert answer["usage"]["prompt_tokens_details"]["audio_tokens"] == 3
    assert answer["usage"]["prompt_tokens"] >= 85 + 3
