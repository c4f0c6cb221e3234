"""Reading a chat stream for a translation: framing, end, errors, usage."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.chat_source import ChatSource, error_fields, error_of_chat, text_of
from tests.proxy.samples import USAGE, cuts, event_of, stream_of, usage_chunk, whole_stream


@given(st.sampled_from([b"\n", b"\r\n"]), st.data())
def test_every_chunk_arrives_once_however_it_is_cut(line_end: bytes, data: st.DataObject) -> None:
    source, chunks = ChatSource(), []
    for piece in data.draw(cuts(stream_of(whole_stream(), line_end))):
        chunks += source.feed(piece)
    assert chunks == whole_stream()
    assert source.is_done
    assert source.usage == USAGE


def test_nothing_follows_the_end_and_odd_events_are_passed_over() -> None:
    source = ChatSource()
    odd = b": ping\n\ndata: {\n\ndata: 7\n\n"
    assert source.feed(odd + b"data: [DONE]\n\n" + stream_of(whole_stream())) == []
    assert source.feed(stream_of(whole_stream())) == []


def test_usage_told_in_pieces_is_merged() -> None:
    source = ChatSource()
    source.feed(event_of(usage_chunk({"prompt_tokens": 1, "completion_tokens": 0})))
    source.feed(event_of(usage_chunk({"completion_tokens": 2})) + event_of(usage_chunk({})))
    assert source.usage == {"prompt_tokens": 1, "completion_tokens": 2}


@pytest.mark.parametrize(
    ("error", "message", "kind"),
    [
        ("overloaded", "overloaded", "server_error"),
        ({"message": "m", "type": "t", "x": 1}, "m", "t"),
        ({}, "The upstream reported an error.", "server_error"),
        (7, "7", "server_error"),
    ],
)
def test_errors_have_four_fields(error: Any, message: str, kind: str) -> None:
    assert error_fields(error) == {"message": message, "type": kind, "param": None, "code": None}
    assert error_of_chat({"error": error}) == ({"error": error_fields(error)} if error else None)


@pytest.mark.parametrize(
    ("content", "text"),
    [("a", "a"), ([{"text": "a"}, {"text": "b"}, {"image_url": {}}, 7], "ab"), (None, ""), (7, "")],
)
def test_text(content: Any, text: str) -> None:
    assert text_of(content) == text
