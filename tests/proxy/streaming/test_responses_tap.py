"""The tap on native Responses streams: points 11-13, 21 and 22 of the wire list."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError
from proxy.streaming.responses_tap import ResponsesTap
from proxy.streaming.unreadable import UNREADABLE
from tests.proxy.samples import cuts

USAGE = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "in_progress",
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "background": False,
    "store": True,
    "conversation": {"id": "conv_1"},
    "output": [],
    "usage": None,
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}}
PYTHON = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"}
ENDED = RESPONSE | {"status": "completed", "usage": USAGE, "output": [SEARCH, PYTHON]}


def event(kind: str, line_end: bytes = b"\n", **fields: Any) -> bytes:
    data = orjson.dumps({"type": kind, **fields})
    return b"event: %b%bdata: %b" % (kind.encode(), line_end, data) + line_end * 2


def opening(line_end: bytes = b"\n", **fields: Any) -> bytes:
    return event("response.created", line_end, response=RESPONSE | fields)


def delta(text: str, line_end: bytes = b"\n") -> bytes:
    return event("response.output_text.delta", line_end, item_id="msg_1", delta=text)


def whole_stream(line_end: bytes = b"\n") -> list[bytes]:
    return [
        opening(line_end),
        event("response.new_kind_of_event", line_end, something=1),
        event("response.output_item.done", line_end, item=SEARCH),
        delta("Hello", line_end),
        delta(" 🙂", line_end),
        event("response.completed", line_end, response=ENDED),
    ]


def tapped(pieces: list[bytes], limit: int = 1 << 20) -> tuple[ResponsesTap, bytes]:
    tap = ResponsesTap(keeps_bytes_limit=limit)
    out = b"".join(tap.feed(piece) for piece in pieces)
    return tap, out + tap.finish()


@given(
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.sampled_from([b"", b": keep-alive\n\n", b"\n"]),
    st.booleans(),
    st.data(),
)
def test_no_chunking_changes_what_passes_or_what_is_learnt(
    line_end: bytes, between: bytes, has_done: bool, data: st.DataObject
) -> None:
    events = whole_stream(line_end)
    stream = between.join(events) + (b"data: [DONE]\n\n" if has_done else b"")
    tap, out = tapped(data.draw(cuts(stream)))
    # A lone CR at the very end could be half of a CRLF: the tap ends that event itself.
    assert (out + tap.held).rstrip() == between.join(events).rstrip()
    assert tap.is_done
    assert tap.error is None
    assert (tap.usage, tap.model, tap.service_tier) == (USAGE, RESPONSE["model"], "default")
    assert tap.finish_reasons == {0: "completed"}
    assert tap.response_id == "resp_1"
    assert tap.document == ENDED
    assert tap.kept_stream == out + tap.held


def test_ids_are_known_before_the_bytes_that_name_them_pass() -> None:
    tap = ResponsesTap(keeps_bytes_limit=0)
    assert tap.object_ids == {}
    tap.feed(opening())
    assert tap.object_ids == {"resp_1": "response", "conv_1": "conversation"}
    tap.feed(event("response.output_item.added", item=PYTHON))
    assert tap.object_ids["cntr_1"] == "container"
    assert tap.object_ids["ci_1"] == "item"
    assert tap.kept_stream is None


def test_items_of_a_response_that_is_not_kept_lead_nowhere() -> None:
    tap, _ = tapped([opening(store=False), event("response.output_item.done", item=PYTHON)])
    assert "ci_1" not in tap.object_ids
    assert tap.object_ids["cntr_1"] == "container"


@pytest.mark.parametrize("is_background", [True, False])
def test_a_background_stream_says_so(is_background: bool) -> None:
    tap, _ = tapped([opening(background=is_background, status="queued")])
    assert tap.is_background is is_background


def test_units_are_counted_also_of_a_stream_cut_off() -> None:
    tap, _ = tapped(whole_stream()[:3])
    assert tap.units == {"web_search_calls": 1}
    assert not tap.is_done
    assert tap.kept_stream is None
    tap, _ = tapped(whole_stream())
    assert tap.units == {
        "web_search_calls": 1,
        "code_interpreter_calls": 1,
        "code_interpreter_containers": 1,
    }


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (
            "incomplete",
            {"incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
        ),
        ("incomplete", {}, "incomplete"),
        ("cancelled", {}, "cancelled"),
        ("completed", {}, "completed"),
    ],
)
def test_each_proper_end_is_held_back_and_nothing_follows(
    kind: str, fields: dict[str, Any], reason: str
) -> None:
    last = event(f"response.{kind}", response=RESPONSE | {"status": kind, "usage": USAGE} | fields)
    tap, out = tapped([opening() + last + delta("more"), delta("still more")])
    assert out == opening()
    assert tap.held == last
    assert tap.is_done
    assert tap.finish_reasons == {0: reason}
    assert tap.usage == USAGE


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (
            event("response.failed", response=RESPONSE | {"error": {"code": "c", "message": "m"}}),
            {"code": "c", "message": "m"},
        ),
        (event("response.failed"), {"message": "The upstream's response failed."}),
        (
            event("error", code="c", message="m", param=None),
            {"code": "c", "message": "m", "param": None},
        ),
        (b'data: {"error":{"message":"m"}}\n\n', {"message": "m"}),
        (b'data: {"error":"m"}\n\n', {"message": "m"}),
    ],
)
def test_a_failure_is_noted_and_held_as_the_last_thing(last: bytes, error: dict[str, Any]) -> None:
    tap, out = tapped([opening(), last, delta("more")])
    assert out == opening()
    assert tap.held == last
    assert tap.error == error
    assert not tap.is_done
    assert tap.kept_stream is None


def test_a_done_marker_alone_is_no_end_and_does_not_pass() -> None:
    tap, out = tapped([opening(), b"data: [DONE]\n\n"])
    assert out == opening()
    assert not tap.is_done


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_an_end_without_its_empty_line_counts(end: bytes) -> None:
    last = event("response.completed", response=ENDED).rstrip(b"\n") + end
    tap, out = tapped([opening(), last])
    assert tap.is_done
    assert out == opening()
    assert tap.held.startswith(last)


def test_an_unfinished_delta_is_no_end() -> None:
    tap, out = tapped([opening(), delta("Hel").rstrip(b"\n")])
    assert out == opening()
    assert not tap.is_done


@pytest.mark.parametrize(
    "odd",
    [
        b"data: 7\n\n",
        b": ping\n\n",
        b'data: {"type":["x"],"response":7}\n\n',
        b'data: {"type":"response.output_item.done","item":"x"}\n\n',
        b'data: {"type":"response.in_progress","response":{"id":7,"output":[1],"usage":[]}}\n\n',
    ],
)
def test_what_nobody_understands_passes(odd: bytes) -> None:
    tap, out = tapped([opening(), odd])
    assert out == opening() + odd
    assert tap.error is None


def test_an_event_that_is_not_json_ends_the_stream_as_an_error() -> None:
    tap, out = tapped([opening(), b"data: {\n\n", delta("never")])
    assert out == opening()
    assert (tap.error, tap.held, tap.is_done) == (UNREADABLE, b"", False)


def test_a_delta_whose_data_says_otherwise_is_no_delta() -> None:
    """The event line alone decides nothing: what clients read is the data."""
    data = orjson.dumps({"type": "response.completed", "response": ENDED})
    lying = b"event: response.output_text.delta\ndata: " + data + b"\n\n"
    tap, out = tapped([opening(), lying])
    assert tap.is_done
    assert out == opening()


@pytest.mark.parametrize(
    ("events", "number"),
    [
        ([], 0),
        ([opening()], 0),
        ([event("response.x", sequence_number=41), b": ping\n\n", b"\n"], 42),
        ([b'data: {"type":"response.output_text.delta","sequence_number":7}\n\n'], 8),
    ],
)
def test_the_next_events_number_is_known(events: list[bytes], number: int) -> None:
    tap, _ = tapped(events)
    assert tap.next_number == number


def test_what_does_not_fit_is_not_kept_and_too_large_an_event_is_refused() -> None:
    tap, _ = tapped(whole_stream(), limit=100)
    assert tap.is_done
    assert tap.kept_stream is None
    with pytest.raises(OversizedEventError):
        ResponsesTap(keeps_bytes_limit=0).feed(b"data: " + b"x" * LARGEST_EVENT_BYTES)
