"""Anthropic's Messages to chat and back: golden files, and Anthropic's own client as the judge."""

from typing import Any

import orjson
import pytest
from anthropic import APIStatusError, AsyncAnthropic, RateLimitError
from anthropic.types import Message

from proxy.providers.anthropic_errors import anthropic_error
from proxy.providers.anthropic_translator import ChatToAnthropic
from proxy.providers.messages_translator import MessagesToChat, count_tokens_refusal
from tests.proxy.providers.anthropic_golden import (
    chat_stream,
    golden,
    load,
    messages_stream,
    parse_messages_stream,
)
from tests.proxy.providers.fixed_answers import JSON, serving

ASKED: Any = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]}
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5"}
    return {**head, "choices": [choice], "service_tier": "default"}


def usage_chunk(usage: dict[str, Any]) -> dict[str, Any]:
    return {**chunk({}), "choices": [], "usage": usage}


def call_piece(index: int, arguments: str, **first: str) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": first.pop("name")} if first else {})}
    return {"tool_calls": [{"index": index, "function": function, **first}]}


STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Let me "}),
    chunk({"reasoning_content": "see."}),
    chunk({"content": "Hé"}),
    chunk({"content": "🙂"}),
    chunk(call_piece(0, "", id="call_1", name="get_weather")),
    chunk(call_piece(0, '{"city":')),
    chunk(call_piece(0, '"Paris"}')),
    chunk(call_piece(1, "{}", id="call_2", name="get_time")),
    chunk({}, "tool_calls"),
    usage_chunk(USAGE),
    "[DONE]",
]


async def final_message(stream: bytes) -> Message:
    """Let Anthropic's client put the events together."""
    async with (
        serving(stream) as url,
        AsyncAnthropic(base_url=url, api_key="k") as client,
        client.messages.stream(**ASKED) as events,
    ):
        return await events.get_final_message()


def translated(chunks: list[Any]) -> bytes:
    return MessagesToChat().stream(ASKED).feed(chat_stream(chunks))


@pytest.mark.parametrize("name", golden("messages_request"))
def test_request(name: str) -> None:
    case = load(name)
    before = orjson.dumps(case["messages_request"])
    assert MessagesToChat().request(case["messages_request"]) == case["chat"]
    assert orjson.dumps(case["messages_request"]) == before, "the caller's document was changed"


async def test_anthropic_client_reads_thoughts_text_and_parallel_tools() -> None:
    message = await final_message(translated(STREAM))
    thinking, text, first, second = (block.to_dict() for block in message.content)
    assert thinking == {"type": "thinking", "thinking": "Let me see.", "signature": ""}
    assert text["text"] == "Hé🙂"
    assert (first["id"], first["name"], first["input"]) == (
        "call_1",
        "get_weather",
        {"city": "Paris"},
    )
    assert (second["name"], second["input"]) == ("get_time", {})
    assert message.stop_reason == "tool_use"
    assert (message.id, message.model) == ("chatcmpl-1", "gpt-5")
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (30, 20)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (60, 10)


def test_stream_cut_at_every_byte() -> None:
    data = chat_stream(STREAM)
    whole = MessagesToChat().stream(ASKED).feed(data)
    for at in range(len(data) + 1):
        translator = MessagesToChat().stream(ASKED)
        assert translator.feed(data[:at]) + translator.feed(data[at:]) == whole
        assert translator.is_done
        assert translator.usage == USAGE


def test_blocks_open_and_close_in_order() -> None:
    events = parse_messages_stream(translated(STREAM))
    opened: list[int] = []
    running: set[int] = set()
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert not running
                opened.append(event["index"])
                running.add(event["index"])
            case "content_block_delta":
                assert event["index"] in running
            case "content_block_stop":
                running.remove(event["index"])
    assert opened == [0, 1, 2, 3]
    assert not running
    assert [event["type"] for event in (events[0], *events[-2:])] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}


async def test_calls_that_take_turns_keep_their_arguments() -> None:
    chunks = [
        chunk(call_piece(0, "", id="call_1", name="a")),
        chunk(call_piece(1, "", id="call_2", name="b")),
        chunk(call_piece(0, '{"x":1}')),
        chunk(call_piece(1, '{"y":2}')),
        chunk({}, "tool_calls"),
        "[DONE]",
    ]
    message = await final_message(translated(chunks))
    assert [block.to_dict()["input"] for block in message.content] == [{"x": 1}, {"y": 2}]


@pytest.mark.parametrize(
    ("delta", "reason", "stop_reason"),
    [
        ({"content": "a"}, "stop", "end_turn"),
        ({"content": "a"}, "length", "max_tokens"),
        ({"content": "a"}, "content_filter", "refusal"),
        ({"refusal": "no"}, "stop", "refusal"),
        ({"content": "a"}, "brand_new", "end_turn"),
        ({}, "stop", "end_turn"),
    ],
)
async def test_stop_reasons(delta: dict[str, Any], reason: str, stop_reason: str) -> None:
    message = await final_message(translated([chunk(delta), chunk({}, reason), "[DONE]"]))
    assert message.stop_reason == stop_reason
    completion = {"choices": [{"message": delta, "finish_reason": reason}]}
    assert MessagesToChat().answer(completion, ASKED)["stop_reason"] == stop_reason


async def test_anthropic_client_raises_an_error_inside_a_stream() -> None:
    error = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
    translator = MessagesToChat().stream(ASKED)
    out = translator.feed(chat_stream([*STREAM[:5], error, "[DONE]"]))
    assert not translator.is_done
    with pytest.raises(APIStatusError, match="slow down"):
        await final_message(out)
    assert b"rate_limit_error" in out
    assert b"message_stop" not in out


def test_a_cut_stream_has_no_end() -> None:
    translator = MessagesToChat().stream(ASKED)
    out = translator.feed(chat_stream(STREAM[:-1]))
    assert not translator.is_done
    assert b"message_stop" not in out
    assert translator.usage == USAGE


def test_strange_chunks_are_passed_over() -> None:
    strange = chat_stream([
        "not json", [1], {"choices": 7}, {"choices": [7]}, {"choices": [{"index": 1, "delta": {}}]},
        {"choices": [{"delta": {"content": 7, "tool_calls": [7, {"index": "x"}]}}]},
        {"choices": [{"delta": {"thinking_blocks": [7], "annotations": [7]}}]}, "[DONE]",
    ])  # fmt: skip
    translator = MessagesToChat().stream(ASKED)
    events = parse_messages_stream(translator.feed(strange))
    assert events[-1] == {"type": "message_stop"}
    assert translator.is_done


@pytest.mark.parametrize("name", golden("stream"))
async def test_chat_streams_of_anthropics_own_come_back(name: str) -> None:
    """There and back again: what both dialects can say is what it was."""
    case = load(name)
    first = ChatToAnthropic().stream({**case["asked"], "stream_options": {"include_usage": True}})
    back = MessagesToChat().stream(ASKED)
    data = back.feed(first.feed(messages_stream(case["events"])))
    assert back.is_done is case["is_done"]
    if not case["is_done"]:
        return
    message, original = (
        await final_message(data),
        await final_message(messages_stream(case["events"])),
    )
    usage, old = message.usage, original.usage
    assert (usage.input_tokens, usage.output_tokens) == (old.input_tokens, old.output_tokens)
    assert (usage.cache_read_input_tokens or 0) == (old.cache_read_input_tokens or 0)
    assert (usage.cache_creation_input_tokens or 0) == (old.cache_creation_input_tokens or 0)
    if case["asked"]["model"].startswith("claude-sonnet"):
        assert message.stop_reason == original.stop_reason
    if name in {"stream_tool", "stream_parallel_tools", "stream_thinking", "stream_text"}:
        assert [b.to_dict() for b in message.content] == [b.to_dict() for b in original.content]


def test_what_nests_too_deep_to_be_written_is_left_out() -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    chunk_data = (
        b'data: {"id":DEEP,"model":DEEP,"usage":{"prompt_tokens":1,"server_tool_use":DEEP},'
        b'"choices":[{"delta":{"tool_calls":[{"index":0,"id":DEEP,"function":{"name":DEEP}}],'
        b'"thinking_blocks":[{"type":"redacted_thinking","data":DEEP}]}}]}\n\ndata: [DONE]\n\n'
    )
    out = MessagesToChat().stream(ASKED).feed(chunk_data.replace(b"DEEP", deep))
    assert out.endswith(b'data: {"type":"message_stop"}\n\n')
    assert b'"a":' not in out


async def test_anthropic_client_reads_a_whole_answer() -> None:
    message = {
        "role": "assistant",
        "content": "It is sunny.",
        "refusal": None,
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {
                    "url": "https://e.org",
                    "title": "E",
                    "start_index": 6,
                    "end_index": 11,
                },
            }
        ],
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "a", "arguments": '{"x": [1]}'}},
            {"id": "c2", "type": "function", "function": {"name": "b", "arguments": '{"cut'}},
            {"id": "c3", "type": "function", "function": {"name": "c", "arguments": ""}},
        ],
    }
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": USAGE,
        "service_tier": "default",
    }
    body = orjson.dumps(MessagesToChat().answer(completion, ASKED))
    async with serving(body, JSON) as url, AsyncAnthropic(base_url=url, api_key="k") as client:
        read = await client.messages.create(**ASKED)
    thinking, text, *calls = (block.to_dict() for block in read.content)
    assert thinking["thinking"] == "hm"
    assert text["citations"][0]["cited_text"] == "sunny"
    assert [call["input"] for call in calls] == [{"x": [1]}, {"INVALID_JSON": '{"cut'}, {}]
    assert read.usage.service_tier == "standard"
    assert read.usage.output_tokens_details is not None
    assert read.usage.output_tokens_details.thinking_tokens == 5


@pytest.mark.parametrize("name", golden("answer"))
def test_answers_come_back(name: str) -> None:
    case = load(name)
    back = MessagesToChat().answer(case["completion"], ASKED)
    message = case["message"]
    raw = {name: back["usage"][name] for name in ("input_tokens", "output_tokens")}
    assert raw == {name: message["usage"][name] for name in raw}
    if name in {"answer_text", "answer_tools", "answer_thinking"}:
        assert back["content"] == message["content"]
        assert back["stop_reason"] == message["stop_reason"]


@pytest.mark.parametrize("document", [{}, {"choices": []}, {"choices": [{}]}, {"choices": "x"}])
def test_what_is_no_completion_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a chat completion"):
        MessagesToChat().answer(document, ASKED)


async def refusal_read_by_client(document: dict[str, Any], status: int) -> APIStatusError:
    """Return what Anthropic's client makes of an error document."""
    async with (
        serving(orjson.dumps(document), JSON, status) as url,
        AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client,
    ):
        with pytest.raises(APIStatusError) as caught:
            await client.messages.create(**ASKED)
    return caught.value


async def test_anthropic_client_reads_errors() -> None:
    raw = {"error": {"message": "slow", "type": "requests", "code": "rate_limit_exceeded"}}
    document = MessagesToChat().error(raw)
    assert document is not None
    error = await refusal_read_by_client(document, 429)
    assert isinstance(error, RateLimitError)
    assert error.type == "rate_limit_error"
    assert "slow" in error.message
    busy = await refusal_read_by_client(anthropic_error(529, "busy", "req_7"), 529)
    assert busy.type == "overloaded_error"


def test_counting_tokens_is_refused_with_a_hint() -> None:
    error = count_tokens_refusal("gpt-5")
    assert "gpt-5" in error.message
    assert "usage" in error.hint
