"""Both translations against the mock provider over a socket: the mock was written apart from them.

A chat request goes to its Anthropic side translated, a Messages request to its OpenAI side; the
translated answers must be what the other side bills and streams.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.providers.anthropic_translator import ChatToAnthropic
from proxy.providers.messages_translator import MessagesToChat
from proxy.streaming.assemble import assemble_completion
from tests.proxy.providers.anthropic_golden import parse_messages_stream
from tests.proxy.providers.mock.server import MockServer, running_mock

HEADERS = {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}


@pytest.fixture
async def mock(tmp_path: Path) -> AsyncIterator[MockServer]:
    async with running_mock(tmp_path / "bill.jsonl") as server:
        yield server


async def post(mock: MockServer, path: str, document: Any) -> tuple[int, bytes]:
    url = f"{mock.url}/v1/{path}"
    async with mock.http.post(url, json=document, headers=HEADERS) as reply:
        return reply.status, await reply.read()


def asked(**fields: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Use get_weather, please."},
    ]
    return {"model": "claude-sonnet-4-5", "messages": messages, **fields}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "stop"),
        ({"tools": [WEATHER]}, "tool_calls"),
        ({"tools": [WEATHER], "tool_choice": "none"}, "stop"),
        ({"max_completion_tokens": 3}, "length"),
        ({"stop": "mock"}, "stop"),
        ({"reasoning_effort": "low"}, "stop"),
        ({"response_format": FORMAT}, "stop"),
        ({"response_format": FORMAT, "model": "claude-3-5-haiku-latest"}, "stop"),
    ],
)
async def test_chat_at_anthropic(mock: MockServer, fields: dict[str, Any], reason: str) -> None:
    translator = ChatToAnthropic()
    doc = asked(**fields)
    status, body = await post(mock, "messages", translator.request(doc))
    assert status == 200, body
    whole = translator.answer(orjson.loads(body), doc)
    streamed_doc = {**doc, "stream": True, "stream_options": {"include_usage": True}}
    status, body = await post(mock, "messages", translator.request(streamed_doc))
    stream = translator.stream(streamed_doc)
    streamed = assemble_completion(stream.feed(body))
    assert stream.is_done
    assert whole["choices"][0]["finish_reason"] == reason
    message, other = whole["choices"][0]["message"], streamed["choices"][0]["message"]
    for name in ("content", "tool_calls", "reasoning_content"):
        assert (message.get(name) or None) == (other.get(name) or None)
    assert streamed["usage"] == whole["usage"]
    for line in await mock.get("/mock/bill"):
        assert line["input_tokens"] == whole["usage"]["prompt_tokens"]
        output = line["output_tokens"] + line["reasoning_tokens"]
        assert output == whole["usage"]["completion_tokens"]


async def test_messages_at_openai(mock: MockServer) -> None:
    translator = MessagesToChat()
    doc = {
        "model": "gpt-5-mini",
        "max_tokens": 900,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Use get_weather, please."}],
        "tools": [{"name": "get_weather", "input_schema": SCHEMA}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    status, body = await post(mock, "chat/completions", translator.request(doc))
    assert status == 200, body
    message = translator.answer(orjson.loads(body), doc)
    assert message["stop_reason"] == "tool_use"
    (call,) = message["content"]
    streamed_doc = {**doc, "stream": True}
    status, body = await post(mock, "chat/completions", translator.request(streamed_doc))
    stream = translator.stream(streamed_doc)
    events = parse_messages_stream(stream.feed(body))
    assert stream.is_done
    pieces = [e["delta"]["partial_json"] for e in events if e["type"] == "content_block_delta"]
    assert orjson.loads("".join(pieces)) == call["input"]
    told = events[-2]["usage"]
    assert told == {name: message["usage"][name] for name in told}
    assert told["output_tokens_details"]["thinking_tokens"] > 0
