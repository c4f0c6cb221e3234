"""Strange streams of Anthropic's: what is not understood is passed over, never a crash."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.anthropic_translator import ChatToAnthropic
from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError
from tests.proxy.providers.anthropic_golden import messages_stream, parse_chat_stream

ASKED = {"stream_options": {"include_usage": True}}
STOP = {"type": "message_stop"}


def chunks_of(*events: Any) -> list[Any]:
    data = messages_stream([*events, STOP])
    return parse_chat_stream(ChatToAnthropic().stream(ASKED).feed(data))


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping"},
        {"type": "never_seen", "delta": {"text": "x"}},
        {"type": "content_block_start"},
        {"type": "content_block_start", "content_block": {"type": "text", "text": 7}},
        {"type": "content_block_start", "content_block": {"type": "redacted_thinking"}},
        {"type": "content_block_delta"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ""}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta"}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "1"}},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta"}},
        {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": ""}},
        {"type": "content_block_delta", "delta": {"type": "citations_delta", "citation": 7}},
        {"type": "content_block_delta", "delta": {"type": []}},
        {"type": "content_block_stop"},
        {"type": "message_delta"},
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": 7},
    ],
)
def test_events_that_say_nothing_give_nothing(event: dict[str, Any]) -> None:
    assert chunks_of(event) == ["[DONE]"]


@pytest.mark.parametrize("data", [b": x\n\n", b"data: x\n\n", b"data: [1]\n\n", b'data: "x"\n\n'])
def test_data_that_is_no_event_gives_nothing(data: bytes) -> None:
    assert ChatToAnthropic().stream(ASKED).feed(data) == b""


def test_nothing_follows_the_end() -> None:
    translator = ChatToAnthropic().stream(ASKED)
    assert translator.feed(messages_stream([STOP])) == b"data: [DONE]\n\n"
    assert translator.feed(messages_stream([{"type": "message_start"}, STOP])) == b""


def test_an_error_without_words_is_one() -> None:
    (error,) = chunks_of({"type": "error"})
    assert error["error"]["type"] == "api_error"


@pytest.mark.parametrize(
    ("given_input", "arguments"),
    [({"x": 1}, '{"x":1}'), ({}, "{}"), (None, "{}"), ([1], "{}")],
)
def test_arguments_that_come_whole(given_input: Any, arguments: str) -> None:
    block = {"type": "tool_use", "id": "1", "name": "a", "input": given_input}
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    chunks = chunks_of(start, {"type": "content_block_stop", "index": 0})
    pieces = [c["choices"][0]["delta"]["tool_calls"][0]["function"] for c in chunks[:-1]]
    assert "".join(piece["arguments"] for piece in pieces) == arguments


DEEP = b'{"a":' * 300 + b"1" + b"}" * 300


@pytest.mark.parametrize(
    "event",
    [
        b'{"type":"message_start","message":{"id":DEEP,"model":DEEP,"usage":DEEP}}',
        b'{"type":"message_start","message":{"usage":{"input_tokens":1,"cache_creation":DEEP}}}',
        b'{"type":"content_block_start","content_block":{"type":"tool_use","input":DEEP}}',
        b'{"type":"error","error":{"type":"x","message":DEEP}}',
    ],
)
def test_what_nests_too_deep_to_be_written_is_left_out(event: bytes) -> None:
    data = b"data: " + event.replace(b"DEEP", DEEP) + b"\n\n" + messages_stream([STOP])
    assert b'"a":' not in ChatToAnthropic().stream(ASKED).feed(data)


def test_an_endless_event_is_refused() -> None:
    translator = ChatToAnthropic().stream(ASKED)
    with pytest.raises(OversizedEventError):
        translator.feed(b"data: " + b"x" * LARGEST_EVENT_BYTES)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(-1, 5) | st.text(max_size=3) | st.just([[]]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "id", "name", "input"]), inner)
    ),
    max_leaves=6,
)
KINDS = [
    "message_start", "content_block_start", "content_block_delta", "content_block_stop",
    "message_delta", "message_stop", "error",
]  # fmt: skip


@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(KINDS)},
            optional=dict.fromkeys(("message", "content_block", "delta", "usage"), JSON),
        ),
        max_size=6,
    )
)
def test_no_events_crash_the_translation(events: list[dict[str, Any]]) -> None:
    out = ChatToAnthropic().stream(ASKED).feed(messages_stream(events))
    for chunk in parse_chat_stream(out):
        assert chunk == "[DONE]" or chunk.keys() & {"choices", "error"}
        assert orjson.dumps(chunk)
