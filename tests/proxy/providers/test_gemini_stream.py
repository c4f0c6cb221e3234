"""Gemini's streams that end otherwise: cut, broken, hostile, counted late, too large."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.gemini_answer import gemini_to_chat
from proxy.providers.gemini_stream import GeminiToChatStream
from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError
from tests.proxy.providers.gemini_goldens import as_stream, golden, goldens, read_stream

ASKED = {"model": "gemini-2.5-flash", "stream": True}
COUNTS = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}


def said(text: str, **candidate: Any) -> dict[str, Any]:
    content = {"parts": [{"text": text}], "role": "model"}
    return {"candidates": [{"content": content, **candidate}], "responseId": "r"}


@pytest.mark.parametrize("kept", range(3))
def test_cut_between_events_is_not_done(kept: int) -> None:
    found = golden("streams", "text")
    stream = GeminiToChatStream(found["asked"])
    out = stream.feed(as_stream(found["gemini"][:kept]))
    assert read_stream(out) == found["chat"][:kept]
    assert not stream.is_done
    assert (stream.usage is None) == (kept == 0)


def test_last_event_without_its_end_is_not_read() -> None:
    found = golden("streams", "text")
    stream = GeminiToChatStream(found["asked"])
    stream.feed(as_stream(found["gemini"])[:-2])
    assert not stream.is_done
    assert stream.feed(b"\r\n").endswith(b"data: [DONE]\n\n")
    assert stream.is_done


def test_counts_may_come_after_the_finish() -> None:
    stream = GeminiToChatStream(ASKED)
    first = stream.feed(as_stream([{**said("Hi"), "usageMetadata": {"promptTokenCount": 5}}]))
    assert b"Hi" in first
    assert stream.feed(as_stream([said("", finishReason="STOP")])) == b""
    assert not stream.is_done
    out = read_stream(stream.feed(as_stream([{"usageMetadata": COUNTS, "responseId": "r"}])))
    assert [chunk["choices"][0]["finish_reason"] for chunk in out[:-1]] == ["stop"]
    assert out[-1] == "[DONE]"
    assert stream.usage == COUNTS


def test_after_the_end_only_counts_are_read() -> None:
    stream = GeminiToChatStream(ASKED)
    stream.feed(as_stream([{**said("Hi", finishReason="STOP"), "usageMetadata": COUNTS}]))
    more = {**said("more"), "usageMetadata": {**COUNTS, "thoughtsTokenCount": 9}}
    assert stream.feed(as_stream([more, {"error": {"message": "late"}}])) == b""
    assert stream.is_done
    assert stream.usage == {**COUNTS, "thoughtsTokenCount": 9}


@pytest.mark.parametrize("event", [b"{", b"[1]", b"null", b'"text"', b"1"])
def test_broken_event_is_one_error(event: bytes) -> None:
    stream = GeminiToChatStream(ASKED)
    out = read_stream(stream.feed(b"data: " + event + b"\n\ndata: {\n\n"))
    assert [chunk["error"]["code"] for chunk in out] == ["upstream_invalid_event"]
    assert stream.feed(as_stream([said("more")])) == b""
    assert not stream.is_done


def test_call_nested_too_deeply_is_an_error() -> None:
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    call = b'{"functionCall":{"name":"f","args":' + deep + b"}}"
    event = b'data: {"responseId":"r","candidates":[{"content":{"parts":[' + call + b"]}}]}\n\n"
    stream = GeminiToChatStream(ASKED)
    out = read_stream(stream.feed(event))
    assert [chunk["error"]["code"] for chunk in out] == ["upstream_invalid_event"]
    document = orjson.loads(event.removeprefix(b"data: "))
    with pytest.raises(ValueError, match="cannot be written"):
        gemini_to_chat(document, ASKED)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("CONTINUATION", "length"), ("SPII", "content_filter"), ("TOO_MANY_TOOL_CALLS", "stop"),
     ("A_NEW_REASON", "stop"), ("FINISH_REASON_UNSPECIFIED", None), ("", None), (5, None)],
)  # fmt: skip
def test_reasons(reason: Any, finish: str | None) -> None:
    stream = GeminiToChatStream(ASKED)
    event = {**said("Hi", finishReason=reason), "usageMetadata": COUNTS}
    chunks = read_stream(stream.feed(as_stream([event])))
    assert stream.is_done == (finish is not None)
    endings = [chunk["choices"][0] for chunk in chunks[1:-1]]
    assert [ending["finish_reason"] for ending in endings] == ([finish] if finish else [])
    if finish:
        assert endings[0]["extra_content"]["google"]["finishReason"] == reason


def test_comments_are_passed_over() -> None:
    stream = GeminiToChatStream(ASKED)
    assert stream.feed(b": ping\n\n\n\nevent: x\n\n") == b""
    assert stream.usage is None


def test_endless_event_is_refused() -> None:
    stream = GeminiToChatStream(ASKED)
    with pytest.raises(OversizedEventError):
        stream.feed(b"data: " + b"x" * LARGEST_EVENT_BYTES)


def test_candidates_out_of_bounds_are_ignored() -> None:
    stream = GeminiToChatStream(ASKED)
    event = {"candidates": [{"index": 10**9}, {"index": -1}, 5, None], "responseId": "r"}
    assert stream.feed(as_stream([event])) == b""


@pytest.mark.parametrize("exchange", goldens("answers"))
def test_stream_of_one_event_says_what_the_whole_answer_says(exchange: dict[str, Any]) -> None:
    asked, whole = exchange["asked"], exchange["chat"]
    stream = GeminiToChatStream({**asked, "stream_options": {"include_usage": True}})
    chunks = read_stream(stream.feed(as_stream([exchange["gemini"]])))
    assert stream.is_done
    for choice in whole["choices"]:
        mine = [
            c for chunk in chunks[:-1] for c in chunk["choices"] if c["index"] == choice["index"]
        ]
        message: dict[str, Any] = {}
        for part in mine:
            message |= part["delta"]
        for call in message.get("tool_calls", []):
            del call["index"]
        assert {"content": None, "refusal": None, **message} == choice["message"]
        assert mine[-1]["finish_reason"] == choice["finish_reason"]
        assert mine[-1].get("extra_content") == choice.get("extra_content")
    usages = [chunk["usage"] for chunk in chunks[:-1] if not chunk["choices"]]
    assert usages == ([whole["usage"]] if "usage" in whole else [])


_WORDS = st.text('text{"ü', max_size=4)
_JSON = st.recursive(
    st.none() | st.integers(-9, 2**62) | _WORDS | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=6,
)
_CANDIDATE = st.dictionaries(
    st.sampled_from(["content", "finishReason", "index", "logprobsResult", "safetyRatings"]),
    _JSON
    | st.fixed_dictionaries({"parts": st.lists(st.dictionaries(
        st.sampled_from(["text", "functionCall", "inlineData", "thoughtSignature", "thought"]),
        _JSON))})
    | st.fixed_dictionaries({"chosenCandidates": st.lists(_JSON), "topCandidates": _JSON}),
)  # fmt: skip
_EVENT = st.dictionaries(
    st.sampled_from(["candidates", "usageMetadata", "promptFeedback", "modelVersion", "error"]),
    _JSON | st.lists(_CANDIDATE, max_size=2),
)


@given(st.lists(_EVENT, max_size=4))
def test_any_shape_is_read(events: list[Any]) -> None:
    stream = GeminiToChatStream(ASKED)
    chunks = read_stream(stream.feed(as_stream(events)))
    assert sum("error" in chunk for chunk in chunks if chunk != "[DONE]") <= 1
    assert stream.is_done == ("[DONE]" in chunks)
    for event in events:
        with suppress(ValueError):
            assert gemini_to_chat(event, ASKED)["choices"]
