"""Lines of JSON to chat chunks, with a parser of the test's own in place of litellm's."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from proxy.providers.litellm_stream import LinesToChunks
from proxy.streaming import framing
from proxy.streaming.framing import OversizedEventError

HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m"}


def parse(event: dict[str, Any]) -> dict[str, Any]:
    if "boom" in event:
        raise KeyError("boom")
    choices = [{"index": 0, "delta": {"content": event["text"]}}] if "text" in event else []
    if "end" in event:
        choices = [{"index": 0, "delta": {}, "finish_reason": event["end"]}]
    return {"choices": choices, "usage": event.get("usage")}


def fresh(*, last_event: str = "", has_usage: bool = True) -> LinesToChunks:
    return LinesToChunks(parse, HEAD, last_event=last_event, has_usage=has_usage)


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
LINES = b"\n".join([
    b": hello", b'data: {"text": "a"}', b"", b'{"text": "b"}', b"event: x",
    b"data:" + orjson.dumps({"end": "stop", "usage": USAGE, "type": "bye"}), b"",
])  # fmt: skip


def chunks_of(data: bytes) -> list[ChatCompletionChunk]:
    assert data.endswith(b"data: [DONE]\n\n")
    return [
        ChatCompletionChunk.model_validate_json(event[6:]) for event in data.split(b"\n\n")[:-2]
    ]


def test_events_and_bare_lines_alike() -> None:
    stream = fresh()
    first, second, last, usage = chunks_of(stream.feed(LINES + b"data: [DONE]\n"))
    assert first.choices[0].delta.role == "assistant"
    assert (first.choices[0].delta.content, second.choices[0].delta.content) == ("a", "b")
    assert last.choices[0].finish_reason == "stop"
    assert last.usage is None
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.model_dump(exclude_none=True) == USAGE
    assert stream.is_done
    assert stream.usage == stream.raw_usage == USAGE


def test_a_last_event_ends_the_stream_as_done_does() -> None:
    stream = fresh(last_event="bye", has_usage=False)
    data = stream.feed(LINES)
    assert data.endswith(b"data: [DONE]\n\n")
    assert b"usage" not in data
    assert stream.is_done
    assert stream.feed(LINES) == b""
    unfinished = fresh()
    assert b"[DONE]" not in unfinished.feed(LINES)
    assert not unfinished.is_done


@given(st.lists(st.integers(1, 30), max_size=40))
def test_any_cut_gives_the_same_chunks(sizes: list[int]) -> None:
    data = LINES.replace(b"\n", b"\r\n") + b"data: [DONE]\r\n"
    stream, out, start = fresh(), b"", 0
    for size in [*sizes, len(data)]:
        out += stream.feed(data[start : start + size])
        start += size
    assert out == fresh().feed(data)
    assert stream.is_done


def test_usage_nobody_sent_is_unknown() -> None:
    stream = fresh()
    assert b'"total_tokens"' not in stream.feed(b'{"text":"a"}\n[DONE]\n')
    assert stream.usage is None


@pytest.mark.parametrize(
    "line", [b'data: {"error": {"message": "full"}}', b'{"boom": 1}', b"data: {not json"]
)
def test_errors_are_one_event_and_no_end(line: bytes) -> None:
    stream = fresh()
    data = stream.feed(b'{"text":"a"}\n' + line + b"\n" + LINES)
    assert data.count(b'"error"') == 1
    assert b"[DONE]" not in data
    assert not stream.is_done


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.providers.litellm_stream.LARGEST_EVENT_BYTES", 1000)
    assert framing.LARGEST_EVENT_BYTES > 1000
    stream = fresh()
    for _ in range(10):
        assert stream.feed(b"x" * 100) == b""
    with pytest.raises(OversizedEventError):
        stream.feed(b"x")
