"""The mock's Anthropic side as Anthropic's own client sees it: whole, streamed, cached, broken."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from anthropic import (
    APIStatusError,
    AsyncAnthropic,
    AuthenticationError,
    BadRequestError,
    RateLimitError,
)

from tests.proxy.providers.mock.server import DEADLINE_S, MockServer, assert_fits

BODY: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 400,
    "messages": [{"role": "user", "content": "Tell me about herons."}],
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = {"name": "get_weather", "description": "Weather of a city.", "input_schema": SCHEMA}
TIME = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}
HEADERS = {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"}


@pytest.fixture
async def claude(mock: MockServer) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=mock.url, api_key="sk-test", max_retries=0) as client:
        yield client


def faulty(claude: AsyncAnthropic, **headers: str) -> AsyncAnthropic:
    named = {f"x-mock-{name.replace('_', '-')}": value for name, value in headers.items()}
    return claude.with_options(default_headers=named)


async def test_stream_is_its_twin(claude: AsyncAnthropic) -> None:
    whole = await claude.messages.create(**BODY)
    async with claude.messages.stream(**BODY) as stream:
        streamed = await stream.get_final_message()
    assert [block.to_dict() for block in streamed.content] == [b.to_dict() for b in whole.content]
    assert streamed.usage.output_tokens == whole.usage.output_tokens > 1
    assert streamed.usage.input_tokens == whole.usage.input_tokens > 0
    assert (streamed.stop_reason, whole.stop_reason) == ("end_turn", "end_turn")
    assert whole.model == "claude-sonnet-4-5"


async def test_parallel_tools_are_called_with_fitting_arguments(claude: AsyncAnthropic) -> None:
    asked = {
        **BODY,
        "messages": [{"role": "user", "content": "Use get_weather and get_time."}],
        "tools": [WEATHER, TIME],
    }
    async with claude.messages.stream(**asked) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason == "tool_use"
    calls = [block.to_dict() for block in message.content]
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]
    assert_fits(calls[0]["input"], SCHEMA)
    one = await claude.messages.create(
        **{**asked, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}}
    )
    assert [block.type for block in one.content] == ["tool_use"]


async def test_tool_results_are_answered_in_words(claude: AsyncAnthropic) -> None:
    turns = [
        {"role": "user", "content": "Use get_weather."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "get_weather"}
            ],
        },
    ]
    message = await claude.messages.create(**{**BODY, "messages": turns, "tools": [WEATHER]})
    assert [block.type for block in message.content] == ["text"]


async def test_thoughts_are_signed_and_counted(claude: AsyncAnthropic) -> None:
    asked = {
        **BODY,
        "max_tokens": 3000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    async with claude.messages.stream(**asked) as stream:
        message = await stream.get_final_message()
    thinking = message.content[0].to_dict()
    assert thinking["type"] == "thinking"
    assert thinking["signature"]
    details = message.usage.output_tokens_details
    assert details is not None
    assert details.thinking_tokens == -(-len(str(thinking["thinking"])) // 4)
    assert message.usage.output_tokens > details.thinking_tokens


async def test_schema_and_limit_and_stop_sequence(claude: AsyncAnthropic) -> None:
    style: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
    fitting = await claude.messages.create(**BODY, output_config=style)
    assert_fits(orjson.loads(fitting.content[0].to_dict()["text"]), SCHEMA)
    cut = await claude.messages.create(**{**BODY, "max_tokens": 3})
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    stopped = await claude.messages.create(**BODY, stop_sequences=["Simulated"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "Simulated")
    assert stopped.content[0].to_dict()["text"].endswith("(")


async def test_images_are_counted(claude: AsyncAnthropic) -> None:
    image: Any = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    text: Any = {"type": "text", "text": "What is it?"}
    plain = await claude.messages.count_tokens(
        model="claude-sonnet-4-5", messages=[{"role": "user", "content": [text]}]
    )
    more = await claude.messages.count_tokens(
        model="claude-sonnet-4-5", messages=[{"role": "user", "content": [text, image]}]
    )
    assert 85 <= more.input_tokens - plain.input_tokens < 100


async def test_marked_prefix_is_written_then_read_and_billed(
    claude: AsyncAnthropic, mock: MockServer
) -> None:
    system: Any = [
        {"type": "text", "text": "Rules. " * 900, "cache_control": {"type": "ephemeral"}},
        {
            "type": "text",
            "text": "More. " * 900,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
    ]
    first = await claude.messages.create(**BODY, system=system)
    second = await claude.messages.create(**BODY, system=system)
    assert first.usage.cache_creation is not None
    written_5m = first.usage.cache_creation.ephemeral_5m_input_tokens
    written_1h = first.usage.cache_creation.ephemeral_1h_input_tokens
    assert min(written_5m, written_1h) > 1024
    assert first.usage.cache_creation_input_tokens == written_5m + written_1h
    assert first.usage.cache_read_input_tokens == 0
    assert second.usage.cache_read_input_tokens == written_5m + written_1h
    assert second.usage.cache_creation_input_tokens == 0
    assert first.usage.input_tokens == second.usage.input_tokens
    one, two = await mock.get("/mock/bill")
    assert one["cache_write_5m_tokens"] == written_5m
    assert one["cache_write_1h_tokens"] == written_1h
    assert one["cost_picousd"] == (
        one["input_tokens"] * 3_000_000
        + written_5m * 3_750_000
        + written_1h * 6_000_000
        + one["output_tokens"] * 15_000_000
    )
    assert two["cache_read_tokens"] == written_5m + written_1h


async def test_errors_have_anthropics_shape(mock: MockServer, claude: AsyncAnthropic) -> None:
    with pytest.raises(AuthenticationError, match="invalid x-api-key"):
        await claude.with_options(api_key="sk-invalid").messages.create(**BODY)
    with pytest.raises(BadRequestError, match="max_tokens"):
        await claude.messages.create(**{**BODY, "max_tokens": 0})
    with pytest.raises(RateLimitError) as limited:
        await faulty(claude, retry_after="7").messages.create(**BODY)
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(APIStatusError) as overloaded:
        await faulty(claude, status="529").messages.create(**BODY)
    assert overloaded.value.response.json()["error"]["type"] == "overloaded_error"
    assert overloaded.value.request_id == overloaded.value.response.json()["request_id"]
    url = f"{mock.url}/v1/messages"
    async with aiohttp.ClientSession() as plain:
        async with plain.post(url, json=BODY, headers={"x-api-key": "k"}) as reply:
            assert reply.status == 400
            assert "anthropic-version" in (await reply.json())["error"]["message"]
        async with plain.post(url, json=BODY) as reply:
            assert (reply.status, (await reply.json())["type"]) == (401, "error")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"temperature": 1.5}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "non-empty"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, "max_tokens"),
        ({"cache_control": {"type": "ephemeral", "ttl": "9h"}}, "cache_control"),
        ({"tools": [{"input_schema": {}}]}, "name"),
    ],
)
async def test_malformed_requests_are_refused(
    claude: AsyncAnthropic, change: dict[str, Any], word: str
) -> None:
    with pytest.raises(BadRequestError, match=word):
        await claude.post("/v1/messages", body={**BODY, **change}, cast_to=object)


async def read_stream(mock: MockServer, **headers: str) -> bytes:
    named = {f"x-mock-{name.replace('_', '-')}": value for name, value in headers.items()}
    url, body = f"{mock.url}/v1/messages", {**BODY, "stream": True}
    async with mock.http.post(url, json=body, headers={**HEADERS, **named}) as reply:
        try:
            return await reply.read()
        except aiohttp.ClientPayloadError:
            return b"cut"


async def test_streams_break_as_asked(mock: MockServer) -> None:
    failed = await read_stream(mock, garbage="error-event")
    assert b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"' in failed
    assert b"message_stop" not in failed
    assert b"message_stop" not in await read_stream(mock, garbage="no-done")
    assert b"output_tokens" not in await read_stream(mock, garbage="no-usage")
    assert await read_stream(mock, cut_after_tokens="2") == b"cut"
    lines = await mock.bill_when(lambda lines: len(lines) == 4)
    assert [line["complete"] for line in lines] == [False, False, True, False]
    assert lines[3]["output_tokens"] == 2


async def test_refusal_is_a_stop_reason(claude: AsyncAnthropic) -> None:
    message = await faulty(claude, refusal="1").messages.create(**BODY)
    assert message.stop_reason == "refusal"


async def test_caller_who_leaves_a_silent_stream_is_billed(mock: MockServer) -> None:
    headers = {**HEADERS, "x-mock-silence-after-tokens": "3"}
    url, body = f"{mock.url}/v1/messages", {**BODY, "stream": True}
    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(0.5), mock.http.post(url, json=body, headers=headers) as reply:
            await reply.read()
    (line,) = await mock.bill_when(lambda lines: len(lines) == 1)
    assert (line["output_tokens"], line["complete"]) == (3, False)


async def test_models_in_either_dialect(mock: MockServer, claude: AsyncAnthropic) -> None:
    async with asyncio.timeout(DEADLINE_S):
        models = [model.id async for model in claude.models.list()]
        assert "claude-sonnet-4-5" in models
        assert (await claude.models.retrieve("claude-sonnet-4-5")).type == "model"
        openai = await mock.client.models.list()
    assert "gpt-4o" in [model.id for model in openai.data]
