"""Chat completions to Anthropic and back: golden files, and openai-python as the judge."""

from typing import Any

import orjson
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError
from openai.types.chat import ChatCompletion

from proxy.providers.anthropic_translator import ChatToAnthropic
from tests.proxy.providers.anthropic_golden import (
    golden,
    load,
    messages_stream,
    parse_chat_stream,
)
from tests.proxy.providers.fixed_answers import JSON, serving

USER = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("name", golden("request"))
def test_request(name: str) -> None:
    case = load(name)
    before = orjson.dumps(case["chat"])
    assert ChatToAnthropic().request(case["chat"]) == case["messages_request"]
    assert orjson.dumps(case["chat"]) == before, "the caller's document was changed"


@pytest.mark.parametrize("name", golden("answer"))
def test_answer(name: str) -> None:
    case = load(name)
    assert ChatToAnthropic().answer(case["message"], case["asked"]) == case["completion"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("name", golden("stream"))
def test_stream(name: str, line_end: bytes) -> None:
    case = load(name)
    translator = ChatToAnthropic().stream(case["asked"])
    out = translator.feed(messages_stream(case["events"], line_end))
    assert parse_chat_stream(out) == case["chunks"]
    assert translator.usage == case["usage"]
    assert translator.is_done is case["is_done"]


@pytest.mark.parametrize("name", golden("stream"))
def test_stream_cut_at_every_byte(name: str) -> None:
    case = load(name)
    data = messages_stream(case["events"])
    whole = ChatToAnthropic().stream(case["asked"]).feed(data)
    for at in range(len(data) + 1):
        translator = ChatToAnthropic().stream(case["asked"])
        assert translator.feed(data[:at]) + translator.feed(data[at:]) == whole
    single = ChatToAnthropic().stream(case["asked"])
    assert b"".join(single.feed(data[at : at + 1]) for at in range(len(data))) == whole


async def final_completion(chunks: bytes) -> ChatCompletion:
    """Let openai-python put the chunks together."""
    async with serving(chunks) as url, AsyncOpenAI(base_url=url, api_key="k") as client:
        stream = client.chat.completions.stream(
            model="claude", messages=[{"role": "user", "content": "x"}]
        )
        async with stream as events:
            return await events.get_final_completion()


def translated(name: str) -> bytes:
    case = load(name)
    return ChatToAnthropic().stream(case["asked"]).feed(messages_stream(case["events"]))


async def test_openai_client_reads_parallel_tools() -> None:
    completion = await final_completion(translated("stream_parallel_tools"))
    assert completion.choices[0].finish_reason == "tool_calls"
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    read = [(call.id, call.function.name, call.function.arguments) for call in calls]  # type: ignore[union-attr]
    assert read == [
        ("toolu_01A", "get_weather", '{"location": "San Francisco, CA"}'),
        ("toolu_01B", "get_time", "{}"),
    ]


async def test_openai_client_reads_cached_usage() -> None:
    completion = await final_completion(translated("stream_cached_usage"))
    assert completion.choices[0].message.content == "Hello there!"
    assert completion.service_tier == "default"
    usage = completion.usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (59, 8, 67)
    assert usage.prompt_tokens_details.cached_tokens == 7
    assert usage.prompt_tokens_details.cache_write_tokens == 12
    assert usage.completion_tokens_details.reasoning_tokens == 3


async def test_openai_client_reads_thoughts_and_sends_them_back() -> None:
    completion = await final_completion(translated("stream_thinking"))
    message = completion.choices[0].message.to_dict()
    assert str(message["reasoning_content"]).endswith("\n2. 453 = 400 + 50 + 3")
    turn = ChatToAnthropic().request({"model": "c", "messages": [*USER, message]})["messages"][1]
    thinking, redacted, text = turn["content"]
    assert thinking["thinking"] == message["reasoning_content"]
    assert thinking["signature"].startswith("EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk")
    assert thinking.keys() == {"type", "thinking", "signature"}
    assert redacted["data"].startswith("EmwKAhgBEgy3va3pzix")
    assert text == {"type": "text", "text": "27 * 453 = 12,231"}


async def test_openai_client_raises_an_error_inside_a_stream() -> None:
    with pytest.raises(APIError, match="Overloaded") as caught:
        await final_completion(translated("stream_error"))
    assert caught.value.code == "overloaded_error"


async def test_openai_client_reads_a_refusal() -> None:
    chunks = translated("stream_refusal")
    async with serving(chunks) as url, AsyncOpenAI(base_url=url, api_key="k") as client:
        asked: Any = {"model": "claude", "messages": USER}
        stream = await client.chat.completions.create(**asked, stream=True)
        choices = [choice async for chunk in stream for choice in chunk.choices]
    assert choices[-1].finish_reason == "content_filter"
    assert choices[-1].delta.refusal == "The request was refused."


@pytest.mark.parametrize("name", golden("answer"))
async def test_openai_client_reads_answers(name: str) -> None:
    body = orjson.dumps(load(name)["completion"])
    async with serving(body, JSON) as url, AsyncOpenAI(base_url=url, api_key="k") as client:
        asked: Any = {"model": "claude", "messages": USER}
        completion = await client.chat.completions.create(**asked)
    assert completion.choices[0].message.role == "assistant"
    assert completion.usage is not None
    assert completion.usage.total_tokens > 0


async def test_openai_client_reads_errors() -> None:
    raw = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 213462 tokens"},
        "request_id": "req_1",
    }
    body = orjson.dumps(ChatToAnthropic().error(raw))
    async with serving(body, JSON, 400) as url, AsyncOpenAI(base_url=url, api_key="k") as client:
        asked: Any = {"model": "claude", "messages": USER}
        with pytest.raises(BadRequestError) as caught:
            await client.chat.completions.create(**asked)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.type == "invalid_request_error"


def test_time_and_limits_come_from_outside() -> None:
    translator = ChatToAnthropic(limit_of={"known": 64_000}.get, now_s_of=lambda: 1_700_000_000)
    assert translator.request({"model": "known", "messages": USER})["max_tokens"] == 64_000
    assert translator.request({"model": "new", "messages": USER})["max_tokens"] == 4096
    small = ChatToAnthropic(limit_of=lambda _: 8192)
    asked = {"model": "claude-sonnet-4-5", "messages": USER, "reasoning_effort": "low"}
    assert small.request(asked)["max_tokens"] == 8192
    answer = translator.answer({"type": "message", "content": []}, {})
    assert answer["created"] == 1_700_000_000
    assert "usage" not in answer


@pytest.mark.parametrize(
    "document", [{}, {"type": "message"}, {"type": "error"}, {"type": "message", "content": "x"}]
)
def test_what_is_no_message_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a message"):
        ChatToAnthropic().answer(document, {})
