"""The tap on relayed Messages streams: what it learns, holds back and lets through."""

from typing import Any

import orjson
import pytest

from proxy.streaming.messages_tap import MessagesTap, payload_of
from proxy.streaming.unreadable import UNREADABLE


def event_of(doc: dict[str, Any], line_end: str = "\n") -> bytes:
    lines = [f"event: {doc['type']}", f"data: {orjson.dumps(doc).decode()}", "", ""]
    return line_end.join(lines).encode()


START_USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 7,
    "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 1,
    "service_tier": "standard",
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"model": "claude-sonnet-5", "usage": START_USAGE}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hé🙂"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 9, "input_tokens": None},
    },
]
STOP: dict[str, Any] = {"type": "message_stop"}
ERROR: dict[str, Any] = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": "Overloaded"},
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_no_chunking_changes_bytes_or_what_is_learnt(size: int, line_end: str) -> None:
    passed = b"".join(event_of(doc, line_end) for doc in EVENTS)
    stop = event_of(STOP, line_end)
    stream = passed + stop
    tap = MessagesTap(keeps_bytes_limit=1 << 20)
    out = b"".join(tap.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    assert out + tap.finish() == passed
    assert tap.held == stop
    assert tap.is_done
    assert tap.usage == {**START_USAGE, "output_tokens": 9}
    assert (tap.model, tap.service_tier) == ("claude-sonnet-5", "standard")
    assert tap.finish_reasons == {0: "end_turn"}
    assert tap.kept_stream == stream
    assert tap.has_events


def test_an_error_is_held_back_and_ends_the_stream() -> None:
    tap = MessagesTap(keeps_bytes_limit=1 << 20)
    passed = tap.feed(event_of(EVENTS[0]) + event_of(ERROR) + event_of(STOP))
    assert passed == event_of(EVENTS[0])
    assert tap.error == ERROR["error"]
    assert tap.held == event_of(ERROR)
    assert not tap.is_done
    assert tap.kept_stream is None
    assert tap.feed(event_of(STOP)) == b""


def test_an_error_without_words_is_still_one() -> None:
    tap = MessagesTap(keeps_bytes_limit=0)
    assert tap.feed(event_of({"type": "error"})) == b""
    assert tap.error == {"message": "None"}


def test_a_cut_stream_is_not_done() -> None:
    tap = MessagesTap(keeps_bytes_limit=1 << 20)
    for doc in EVENTS:
        tap.feed(event_of(doc))
    assert tap.finish() == b""
    assert not tap.is_done
    assert tap.usage == {**START_USAGE, "output_tokens": 9}


def test_an_unterminated_stop_counts() -> None:
    tap = MessagesTap(keeps_bytes_limit=0)
    tap.feed(event_of(EVENTS[0]) + event_of(STOP)[:-2])
    assert not tap.is_done
    assert tap.finish() == b""
    assert tap.is_done


def test_what_does_not_fit_is_not_kept() -> None:
    tap = MessagesTap(keeps_bytes_limit=100)
    tap.feed(b"".join(event_of(doc) for doc in [*EVENTS, STOP]))
    assert tap.is_done
    assert tap.kept_stream is None


@pytest.mark.parametrize(
    "event",
    [
        b": ping\n\n",
        b"event: x\ndata: [1]\n\n",
        b'data: {"type":"message_start","message":7}\n\n',
        b'data: {"type":"message_delta","delta":[],"usage":"x"}\n\n',
        b'data: {"type":["a"]}\n\n',
    ],
)
def test_strange_events_pass_untouched(event: bytes) -> None:
    tap = MessagesTap(keeps_bytes_limit=100)
    assert tap.feed(event) == event
    assert tap.usage is None
    assert not tap.is_done


def test_an_event_that_is_not_json_ends_the_stream_as_an_error() -> None:
    tap = MessagesTap(keeps_bytes_limit=100)
    assert tap.feed(b"event: x\ndata: not json\n\n") == b""
    assert (tap.error, tap.held, tap.is_done) == (UNREADABLE, b"", False)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"event: a\ndata: {}\n\n", b"{}"),
        (b"event: a\ndata: 1\ndata: 2\n\n", b"1\n2"),
        (b"data: 1\ndata: 2\n\n", b"1\n2"),
        (b"event: a\r\ndata: 1\r\n\r\n", b"1"),
        (b"event: a\ndata:1\n\n", b"1"),
        (b"data: 1\n\n", b"1"),
        (b": comment\n\n", b""),
    ],
)
def test_payload(event: bytes, data: bytes) -> None:
    assert payload_of(event) == data
