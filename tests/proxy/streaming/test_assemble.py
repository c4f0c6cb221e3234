"""A stream becomes the document it stands for: points 15-18 of the wire list."""

from typing import Any

import orjson
import pytest

from proxy.streaming.assemble import assemble_completion, index_of, objects_in
from tests.proxy.samples import HEAD, USAGE, chunk, event_of, stream_of, usage_chunk, whole_stream


def assembled(*chunks: Any) -> dict[str, Any]:
    return assemble_completion(stream_of(list(chunks)))


def message_of(*deltas: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = assembled(*map(chunk, deltas))["choices"][0]["message"]
    return message


def test_an_answer_in_pieces_is_one_document() -> None:
    assert assemble_completion(stream_of(whole_stream())) == {
        **HEAD,
        "object": "chat.completion",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello 🙂"},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }


def test_parallel_tool_calls_that_interleave_are_told_apart() -> None:
    def call(index: int, **fields: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, **fields}]}

    message = message_of(
        {"role": "assistant", "content": None},
        call(1, id="b", type="function", function={"name": "time", "arguments": ""}),
        call(0, id="a", type="function", function={"name": "weather", "arguments": ""}),
        call(0, function={"arguments": '{"city"'}),
        call(1, function={"arguments": "{"}),
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": ': "Bern"}'}},
                {"index": 1, "function": {"arguments": "}"}},
            ]
        },
    )
    assert message["content"] is None
    assert message["tool_calls"] == [
        {
            "id": "a",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Bern"}'},
        },
        {"id": "b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]


@pytest.mark.parametrize(
    "later",
    [
        {"id": "", "function": {"name": "", "arguments": "1"}},
        {"id": None, "function": {"name": None, "arguments": "1"}},
        {"id": "a", "function": {"name": "weather", "arguments": "1"}},
    ],
)
def test_names_that_are_repeated_or_sent_empty_stay_as_they_were(later: dict[str, Any]) -> None:
    first = {"index": 0, "id": "a", "function": {"name": "weather", "arguments": ""}}
    message = message_of(
        {"tool_calls": [first]}, {"role": "", "tool_calls": [{"index": 0, **later}]}
    )
    assert message["role"] == "assistant"
    assert message["tool_calls"] == [{"id": "a", "function": {"name": "weather", "arguments": "1"}}]


def test_choices_that_interleave_come_in_order_of_their_index() -> None:
    pieces = [chunk({"content": str(index)}, index=index) for index in (2, 0, 1, 0, 2)]
    endings = [
        chunk({}, reason, index=i) for i, reason in ((1, "stop"), (2, "length"), (0, "stop"))
    ]
    choices = assembled(*pieces, *endings)["choices"]
    texts = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in choices]
    assert texts == [(0, "00", "stop"), (1, "1", "stop"), (2, "22", "length")]


def test_log_probabilities_are_joined() -> None:
    pieces = [
        chunk({"content": text}, logprobs={"content": [{"token": text}], "refusal": None})
        for text in ("a", "b")
    ]
    choice = assembled(*pieces, chunk({}, "stop", logprobs=None))["choices"][0]
    assert choice["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


def test_refusals_annotations_audio_and_unknown_fields_survive() -> None:
    message = message_of(
        {"role": "assistant", "content": None, "refusal": ""},
        {"refusal": "I can"},
        {"refusal": "not."},
        {"annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]},
        {"annotations": [{"type": "url_citation", "url_citation": {"url": "v"}}]},
        {"audio": {"id": "audio_1", "transcript": "He"}},
        {"audio": {"transcript": "llo", "data": "AA", "expires_at": 5}},
        {"reasoning_content": "think", "novel": {"deep": [1]}},
        {"reasoning_content": "ing", "novel": {"deep": [2], "more": True}},
    )
    assert message == {
        "role": "assistant",
        "content": None,
        "refusal": "I cannot.",
        "annotations": [
            {"type": "url_citation", "url_citation": {"url": "u"}},
            {"type": "url_citation", "url_citation": {"url": "v"}},
        ],
        "audio": {"id": "audio_1", "transcript": "Hello", "data": "AA", "expires_at": 5},
        "reasoning_content": "thinking",
        "novel": {"deep": [1, 2], "more": True},
    }


def test_fields_of_choices_and_chunks_keep_their_last_content() -> None:
    verdict = {"hate": {"filtered": False, "severity": "safe"}}
    first = chunk({"content": "a"}, citations=["x"], system_fingerprint="fp_1")
    first["choices"][0]["content_filter_results"] = verdict
    second = chunk({"content": "b"}, citations=[], obfuscation="xyz")
    second["choices"][0]["content_filter_results"] = verdict
    third = chunk({}, "stop")
    third["choices"][0] |= {"content_filter_results": {}, "stop_reason": None}
    document = assembled(first, second, third)
    assert document["citations"] == ["x"]
    assert document["system_fingerprint"] == "fp_1"
    assert "obfuscation" not in document
    choice = document["choices"][0]
    assert choice["content_filter_results"] == verdict
    assert choice["stop_reason"] is None


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: <html>\n\n",
        b"data: 5\n\n",
        b"data: [1]\n\n",
        b'data: "x"\n\n',
        b": ping\n\n",
        b"\n\n",
        event_of({"choices": 5}),
        event_of({"choices": {"a": 1}}),
        event_of({"choices": [None, "x", 3]}),
        event_of(chunk({}) | {"choices": [{"delta": "x", "index": 0}]}),
        event_of({"choices": [{"delta": None}]}),
        event_of({"choices": [{"delta": {"tool_calls": "x"}}]}),
    ],
)
def test_what_is_no_chunk_breaks_nothing(garbage: bytes) -> None:
    stream = stream_of(whole_stream())
    document = assemble_completion(garbage + stream)
    assert document["choices"][0]["message"]["content"] == "Hello 🙂"
    assert orjson.dumps(document)


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [5, {"index": 0}, "x", {"index": 0, "id": "a"}]},
        {"tool_calls": [{"index": []}, {"index": {}}]},
        {"tool_calls": {"index": 0}},
        {"content": ["part"]},
        {"content": {"text": "a"}},
        {"role": 5},
    ],
)
def test_wrong_types_inside_a_delta_break_nothing(delta: dict[str, Any]) -> None:
    assert orjson.dumps(assembled(chunk({"content": "a", "tool_calls": []}), chunk(delta)))


@pytest.mark.parametrize("stream", [b"", b"data: [DONE]\n\n", b": ping\n\n", b"data: x\n\n"])
def test_a_stream_without_a_chunk_is_no_answer(stream: bytes) -> None:
    with pytest.raises(ValueError, match="no chunk"):
        assemble_completion(stream)


def test_usage_that_never_came_is_not_invented() -> None:
    assert "usage" not in assembled(chunk({"content": "a"}), chunk({}, "stop"))
    assert assembled(chunk({"content": "a"}), usage_chunk({"x": 1}))["usage"] == {"x": 1}


def test_reading_of_loose_types() -> None:
    assert objects_in([1, {}, None, {"a": 1}]) == [{}, {"a": 1}]
    assert objects_in({"a": 1}) == []
    assert index_of({"index": "1"}) == 0
    assert index_of({}, 4) == 4
    assert index_of({"index": 2}, 4) == 2
