"""What of a request and of an answer is text, in every dialect."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.unmetered_texts import Texts, answer_texts, prompt_texts, stream_texts

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def message(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


@pytest.mark.parametrize(
    ("endpoint", "document", "pieces", "extra_tokens"),
    [
        ("chat", {"model": "m", "messages": [message("one"), message("two")]}, ["one", "two"], 9),
        ("chat", {"messages": [message([{"type": "text", "text": "one"}])]}, ["one"], 6),
        (
            "chat",
            {"messages": [{"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ]}]},
            ["f", "{}"],
            6,
        ),
        ("completions", {"prompt": ["one", "two"], "suffix": "end"}, ["one", "two", "end"], 0),
        ("completions", {"prompt": [1, 2, 3]}, [], 3),
        ("messages", {"system": "be", "messages": [message("one")]}, ["be", "one"], 6),
        (
            "messages",
            {"messages": [message([{"type": "tool_result", "tool_use_id": "t", "content": "x"}])]},
            ["x"],
            6,
        ),
        ("responses", {"instructions": "be", "input": "one"}, ["be", "one"], 0),
        (
            "responses",
            {"input": [message([{"type": "input_text", "text": "one"}])]},
            ["one"],
            6,
        ),
        (
            "gemini",
            {"systemInstruction": {"parts": [{"text": "be"}]},
             "contents": [{"role": "user", "parts": [{"text": "one"}]}]},
            ["be", "one"],
            6,
        ),
        ("embeddings", {"input": ["one", "two"]}, ["one", "two"], 0),
        ("embeddings", {"input": [[1, 2], [3]]}, [], 3),
        ("gemini_embed", {"content": {"parts": [{"text": "one"}]}}, ["one"], 0),
        (
            "gemini_batch_embed",
            {"requests": [{"model": "models/e", "content": {"parts": [{"text": "one"}]}}]},
            ["one"],
            0,
        ),
        ("images", {"prompt": "one"}, [], 0),
    ],
)  # fmt: skip
def test_prompts(
    endpoint: str, document: dict[str, Any], pieces: list[str], extra_tokens: int
) -> None:
    texts = prompt_texts(endpoint, document)
    assert (texts.pieces, texts.extra_tokens, texts.is_partial) == (pieces, extra_tokens, False)


def test_tools_are_read_as_their_json() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    texts = prompt_texts("chat", {"messages": [], "tools": tools})
    assert texts.pieces == [orjson.dumps(tools).decode()]


@pytest.mark.parametrize(
    "part",
    [
        IMAGE,
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ],
)
def test_images_and_sound_are_no_text_and_are_noted(part: dict[str, Any]) -> None:
    texts = prompt_texts("chat", {"messages": [message(["look", part])]})
    assert (texts.pieces, texts.is_partial) == (["look"], True)


@pytest.mark.parametrize(
    "document",
    [
        {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "said"},
                                 "finish_reason": "stop"}]},
        {"choices": [{"text": "said", "index": 0, "logprobs": None, "finish_reason": "stop"}]},
        {"type": "message", "content": [{"type": "text", "text": "said"}]},
        {"output": [{"type": "message", "id": "m", "status": "completed", "content": [
            {"type": "output_text", "text": "said", "annotations": []}]}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "said"}]},
                         "finishReason": "STOP"}]},
    ],
    ids=["chat", "completions", "messages", "responses", "gemini"],
)  # fmt: skip
def test_answers(document: dict[str, Any]) -> None:
    assert answer_texts(document).pieces == ["said"]


def events(*documents: Any, line_end: str = "\n") -> bytes:
    return b"".join(
        f"data: {orjson.dumps(each).decode()}{line_end}{line_end}".encode() for each in documents
    )


STREAMS: dict[str, list[Any]] = {
    "chat": [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 0, "delta": {"content": "sa"}}]},
        {"choices": [{"index": 0, "delta": {"content": "id"}, "finish_reason": "stop"}]},
    ],
    "completions": [{"choices": [{"index": 0, "text": "sa"}]},
                    {"choices": [{"index": 0, "text": "id"}]}],
    "messages": [
        {"type": "message_start", "message": {"id": "m", "content": [], "model": "claude"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "sa"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "id"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ],
    "responses": [
        {"type": "response.created", "response": {"instructions": "a long one", "output": []}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "sa"},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "id"},
        {"type": "response.output_text.done", "output_index": 0, "text": "said"},
    ],
    "gemini": [{"candidates": [{"content": {"parts": [{"text": "sa"}]}}]},
               {"candidates": [{"content": {"parts": [{"text": "id"}]}, "finishReason": "STOP"}]}],
}  # fmt: skip


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("dialect", STREAMS)
def test_streams(dialect: str, line_end: str) -> None:
    found = stream_texts(events(*STREAMS[dialect], line_end=line_end) + b"data: [DONE]\n\n")
    assert "".join(found.by_choice[0].pieces) == "said"
    assert found.has_text


def test_choices_are_told_apart() -> None:
    said = [(0, "a"), (1, "x"), (0, "b"), (1, "y")]
    deltas = [{"choices": [{"index": place, "delta": {"content": text}}]} for place, text in said]
    found = stream_texts(events(*deltas))
    assert {place: texts.pieces for place, texts in found.by_choice.items()} == {
        0: ["a", "b"],
        1: ["x", "y"],
    }


def test_what_comes_before_the_first_text_and_a_cut_end_are_left_out() -> None:
    head, *rest = STREAMS["responses"]
    whole = events(head, *rest[:2])
    found = stream_texts(whole + events(rest[2])[:20])
    assert (found.first_at, found.read_bytes) == (len(events(head)), len(whole))


def test_sound_is_no_text() -> None:
    found = stream_texts(events({"type": "response.output_audio.delta", "delta": "AAAA"}))
    assert not found.has_text
    assert found.by_choice[0].is_partial


@pytest.mark.parametrize(
    "sample", [b"", b"\n\n\n\n", b"data: [DONE]\n\n", b"data: 1\n\n", b": ping\n\n", b"\xff\n\n"]
)
def test_what_says_nothing(sample: bytes) -> None:
    assert not stream_texts(sample).has_text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "content", "choices", "delta", "type", "input", "index"]),
            inner,
            max_size=3,
        )
    ),
)


@given(anything)
def test_no_shape_is_an_error(value: Any) -> None:
    document = value if isinstance(value, dict) else {"messages": value, "choices": value}
    prompt_texts("chat", document)
    answer_texts(document)
    stream_texts(events(*[value] if _fits(value) else []))


def _fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def test_depth_is_bounded() -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = [deep]
    texts = Texts()
    texts.take(deep)
    assert (texts.pieces, texts.is_partial) == ([], True)
