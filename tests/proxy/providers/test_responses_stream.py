"""A chat stream as Responses events: order, numbers, interleaving, ends, cuts and bounds."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.responses_events import ResponseEvents
from proxy.providers.responses_stream import ResponsesStream
from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError, data_of, split_events
from proxy.streaming.responses_tap import ResponsesTap
from tests.proxy.samples import USAGE, chunk, cuts, event_of, stream_of, usage_chunk

ASKED: dict[str, Any] = {"model": "m", "input": "x", "stream": True}


def piece(index: int | None, **function: str) -> dict[str, Any]:
    """A piece of a call; `id` belongs to the call, the rest to its function."""
    call: dict[str, Any] = {} if index is None else {"index": index}
    if "id" in function:
        call |= {"id": function.pop("id"), "type": "function"}
    return chunk({"tool_calls": [{**call, "function": function}]})


CHUNKS = [
    {"id": "", "choices": [], "prompt_filter_results": []},
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "let me"}),
    chunk({"reasoning_content": " see"}),
    chunk({"content": "Hello"}),
    chunk({"content": " 🙂"}),
    piece(0, id="c1", name="f", arguments=""),
    piece(1, id="c2", name="g", arguments=""),
    piece(0, arguments='{"a":'),
    piece(1, arguments="{}"),
    piece(0, arguments="1}"),
    chunk({}, "tool_calls"),
    usage_chunk(),
]


def translated(pieces: list[bytes]) -> tuple[ResponsesStream, list[dict[str, Any]]]:
    stream = ResponsesStream(ASKED)
    out = b"".join(stream.feed(each) for each in pieces)
    documents = [orjson.loads(data_of(event)) for event in split_events(out)]
    for event, document in zip(split_events(out), documents, strict=True):
        assert event.startswith(b"event: %b\n" % document["type"].encode())
    return stream, documents


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in documents if each["type"] == f"response.{kind}"]


@given(st.data())
def test_no_cut_changes_the_events(data: st.DataObject) -> None:
    stream, events = translated(data.draw(cuts(stream_of(CHUNKS))))
    assert stream.is_done
    assert stream.usage == USAGE
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events == translated([stream_of(CHUNKS)])[1]


def test_items_come_in_order_and_calls_that_take_turns_stay_apart() -> None:
    _, events = translated([stream_of(CHUNKS)])
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta",
        "reasoning_text.done", "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "output_item.added",
        "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    response = events[-1]["response"]
    assert response["output"] == [event["item"] for event in of_kind(events, "output_item.done")]
    assert [item["type"] for item in response["output"]] == [
        "reasoning", "message", "function_call", "function_call"
    ]  # fmt: skip
    assert [item["arguments"] for item in response["output"][2:]] == ['{"a":1}', "{}"]
    assert response["output"][1]["content"][0]["text"] == "Hello 🙂"
    assert response["usage"]["input_tokens"] == USAGE["prompt_tokens"]


def test_our_own_tap_reads_what_we_write() -> None:
    tap = ResponsesTap(keeps_bytes_limit=0)
    tap.feed(ResponsesStream(ASKED).feed(stream_of(CHUNKS)))
    assert tap.is_done
    assert tap.finish_reasons == {0: "completed"}
    assert tap.usage is not None


def test_servers_that_give_every_call_index_0_or_none() -> None:
    for index in (0, None):
        chunks = [piece(index, id=f"c{n}", name="f", arguments=f"{n}") for n in range(3)]
        _, events = translated([stream_of([*chunks, chunk({}, "tool_calls")])])
        calls = events[-1]["response"]["output"]
        assert [(call["call_id"], call["arguments"]) for call in calls] == [
            ("c0", "0"), ("c1", "1"), ("c2", "2")
        ]  # fmt: skip


def test_custom_calls_and_text_after_a_refusal() -> None:
    call = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SEL"}}
    more = {"index": 0, "custom": {"input": "ECT"}}
    chunks = [
        chunk({"refusal": "No."}),
        chunk({"content": "But"}),
        chunk({"tool_calls": [call]}),
        chunk({"tool_calls": [more]}),
        chunk({}, "tool_calls"),
    ]
    _, events = translated([stream_of(chunks)])
    message, custom = events[-1]["response"]["output"]
    assert [part["type"] for part in message["content"]] == ["refusal", "output_text"]
    assert (custom["type"], custom["input"]) == ("custom_tool_call", "SELECT")
    assert len(of_kind(events, "custom_tool_call_input.done")) == 1
    places = [event["content_index"] for event in of_kind(events, "content_part.done")]
    assert places == [0, 1]


def test_a_cut_off_stream_has_no_last_event() -> None:
    stream, events = translated([stream_of(CHUNKS, is_done=False)])
    assert not stream.is_done
    assert not of_kind(events, "completed")
    assert not of_kind(events, "output_item.done")[2:]
    last = orjson.loads(data_of(stream.error_event("m", "c")))
    assert last == {
        "type": "error",
        "sequence_number": len(events),
        "code": "c",
        "message": "m",
        "param": None,
    }
    assert stream.feed(b"data: [DONE]\n\n") == b""


@pytest.mark.parametrize(
    ("finish_reason", "kind"), [("length", "incomplete"), ("content_filter", "incomplete")]
)
def test_forced_ends(finish_reason: str, kind: str) -> None:
    _, events = translated([stream_of([chunk({"content": "a"}), chunk({}, finish_reason)])])
    assert events[-1]["type"] == f"response.{kind}"
    assert events[-1]["response"]["output"][0]["status"] == kind


def test_an_error_is_one_event_and_the_last() -> None:
    stream, events = translated(
        [
            stream_of(CHUNKS[:5], is_done=False),
            event_of({"error": {"message": "m", "code": "c"}}) + stream_of(CHUNKS),
            stream_of(CHUNKS),
        ]
    )
    assert [event["type"] for event in events].count("error") == 1
    last = events[-1]
    assert (last["type"], last["message"], last["code"]) == ("error", "m", "c")
    assert not stream.is_done


def test_an_end_without_a_word_is_a_whole_empty_answer() -> None:
    _, events = translated([b"data: [DONE]\n\n"])
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["model"] == "m"
    assert events[-1]["response"]["output"][0]["content"] == []


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": [7, {"delta": 7}, {"delta": {"content": 7, "tool_calls": [7, {}]}}]},
        {"choices": "x", "id": 7},
        {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
        {"choices": [{"index": 0, "finish_reason": ["x"]}], "service_tier": 7},
    ],
)
def test_odd_chunks_break_nothing(odd: dict[str, Any]) -> None:
    _, events = translated(
        [event_of(odd) + stream_of([chunk({"content": "a"}), chunk({}, "stop")])]
    )
    assert events[-1]["type"] == "response.completed"
    text = [event["delta"] for event in of_kind(events, "output_text.delta")]
    assert text == ["a"]


def test_an_answer_too_large_to_repeat_is_refused() -> None:
    events = ResponseEvents()
    item, _ = events.open_item("msg_1", "message", {})
    half = "x" * (LARGEST_EVENT_BYTES // 2)
    events.say(item, "output_text", half, [])
    with pytest.raises(OversizedEventError):
        events.say(item, "output_text", half, [])
    assert events.close(item)
    assert events.close(item) == b""
