"""ConverseStream to chat chunks: AWS's published event order, cut anywhere, broken anywhere."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from proxy.providers.bedrock_stream import ConverseToChunks
from proxy.streaming.aws_event_stream import encode_message
from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError

HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m"}
USAGE = {"inputTokens": 47, "outputTokens": 20, "totalTokens": 67}

# Origin: the event order and payloads of ConverseStream in AWS's Bedrock user guide and API
# reference; `p` is the padding that Bedrock adds.
TEXT: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant", "p": "abcd"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Here "}, "p": "ab"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "you are"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 100}, "serviceTier": {"type": "flex"}}),
]
TOOLS: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "sig"}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    (
        "contentBlockStart",
        {
            "contentBlockIndex": 1,
            "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "top_song"}},
        },
    ),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"sign":'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": ' "WZPZ"}'}}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    (
        "contentBlockStart",
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "tooluse_2", "name": "now"}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}),
]


def encode(events: list[tuple[str, dict[str, Any]]]) -> bytes:
    return b"".join(message(name, payload) for name, payload in events)


def message(name: str, payload: Any) -> bytes:
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_message(headers, orjson.dumps(payload))


def chunks_of(data: bytes) -> list[ChatCompletionChunk]:
    assert data.endswith(b"data: [DONE]\n\n")
    events = data.split(b"\n\n")[:-2]
    return [ChatCompletionChunk.model_validate_json(event[6:]) for event in events]


def test_a_text_chunk_by_chunk() -> None:
    stream = ConverseToChunks(HEAD, has_usage=True)
    chunks = chunks_of(stream.feed(encode(TEXT)))
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert deltas[0].role == "assistant"
    assert [delta.content for delta in deltas] == ["", "Here ", "you are", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None, None, None, "stop"]
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * 4
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 67
    assert chunks[-1].service_tier == "flex"
    assert stream.is_done
    assert stream.usage == USAGE


def test_usage_goes_only_to_those_who_asked() -> None:
    stream = ConverseToChunks(HEAD, has_usage=False)
    data = stream.feed(encode(TEXT))
    assert b"usage" not in data
    assert stream.usage == USAGE


def test_tools_and_thoughts_as_the_official_client_sees_them() -> None:
    data = ConverseToChunks(HEAD, has_usage=True).feed(encode(TOOLS))
    state = ChatCompletionStreamState()
    pieces = []
    for chunk in chunks_of(data):
        state.handle_chunk(chunk)
        if chunk.choices:
            pieces += (chunk.choices[0].delta.model_extra or {}).get("thinking_blocks", [])
    answer = state.get_final_completion()
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    seen = [(call.id, call.function.name, call.function.arguments) for call in calls]
    assert seen == [("tooluse_1", "top_song", '{"sign": "WZPZ"}'), ("tooluse_2", "now", "{}")]
    assert answer.choices[0].finish_reason == "tool_calls"
    joined = (answer.choices[0].message.model_extra or {})["thinking_blocks"]
    assert [(block["thinking"], block["signature"]) for block in joined] == [("hm", "sig")]
    assert pieces == [
        {"index": 0, "type": "thinking", "thinking": "hm"},
        {"index": 0, "type": "thinking", "thinking": "", "signature": "sig"},
    ]
    assert b'"reasoning_content":"hm"' in data


@given(st.lists(st.integers(1, 90), max_size=60))
def test_any_cut_gives_the_same_chunks(sizes: list[int]) -> None:
    data = encode(TOOLS)
    stream, out, start = ConverseToChunks(HEAD, has_usage=True), b"", 0
    for size in [*sizes, len(data)]:
        out += stream.feed(data[start : start + size])
        start += size
    assert out == ConverseToChunks(HEAD, has_usage=True).feed(data)
    assert stream.is_done


@pytest.mark.parametrize("events", range(len(TEXT)))
def test_a_stream_cut_short_is_not_done(events: int) -> None:
    stream = ConverseToChunks(HEAD, has_usage=True)
    assert b"[DONE]" not in stream.feed(encode(TEXT[:events]))
    assert not stream.is_done


def error_in(data: bytes) -> Any:
    events = [event for event in data.split(b"\n\n") if b'"error"' in event]
    assert len(events) == 1
    return orjson.loads(events[0][6:])["error"]


def test_an_exception_inside_the_stream_is_one_error_event() -> None:
    headers = {":exception-type": "throttlingException", ":message-type": "exception"}
    exception = encode_message(headers, b'{"message":"Too many requests"}')
    stream = ConverseToChunks(HEAD, has_usage=True)
    data = stream.feed(encode(TEXT[:2]) + exception + encode(TEXT[2:]))
    assert error_in(data) == {
        "message": "Too many requests",
        "type": "rate_limit_error",
        "param": None,
        "code": "ThrottlingException",
    }
    assert data.endswith(b"}\n\n")
    assert not stream.is_done
    assert stream.feed(encode(TEXT)) == b""


@pytest.mark.parametrize("data", [b"HTTP/1.1 502 Bad Gateway", message("messageStart", [1])])
def test_damaged_streams_end_in_an_error_event(data: bytes) -> None:
    stream = ConverseToChunks(HEAD, has_usage=True)
    assert error_in(stream.feed(data))["type"] == "api_error"
    assert not stream.is_done


def test_a_message_too_large_is_refused_at_its_prelude() -> None:
    data = encode_message({}, bytes(LARGEST_EVENT_BYTES))
    with pytest.raises(OversizedEventError):
        ConverseToChunks(HEAD, has_usage=True).feed(data[:12])


@given(
    st.sampled_from(["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop",
                     "messageStop", "metadata", "new"]),
    st.dictionaries(
        st.sampled_from(["role", "start", "delta", "contentBlockIndex", "stopReason", "usage"]),
        st.recursive(
            st.none() | st.integers(-9, 9) | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["toolUse", "text", "input", "reasoningContent", "signature"]),
                inner, max_size=3,
            ),
            max_leaves=5,
        ),
        max_size=4,
    ),
)  # fmt: skip
def test_odd_events_never_crash(name: str, payload: dict[str, Any]) -> None:
    stream = ConverseToChunks(HEAD, has_usage=True)
    for event in stream.feed(message(name, payload)).split(b"\n\n")[:-1]:
        assert event == b"data: [DONE]" or orjson.loads(event[6:])["id"] == "chatcmpl-1"
