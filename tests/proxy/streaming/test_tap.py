"""The tap on live streams: row 15 of the fault table, points 12-14 of the wire list."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError
from proxy.streaming.tap import ChatStreamTap
from proxy.streaming.unreadable import UNREADABLE
from tests.proxy.samples import (
    USAGE,
    chunk,
    cuts,
    event_of,
    stream_of,
    usage_chunk,
    whole_stream,
)

DONE = b"data: [DONE]\n\n"
PLAIN = event_of(chunk({"content": "a"}))
ODD_CHUNKS = [
    PLAIN,
    PLAIN,
    PLAIN * 2,
    PLAIN.replace(b"\n", b"\r\n"),
    PLAIN.removeprefix(b"data: "),
    b"event: x\n" + PLAIN,
    b"\n" + PLAIN,
    event_of(chunk({"content": "a"}, model="other")),
    event_of(chunk({"content": "a"}, service_tier="flex")),
    event_of(chunk({"content": "a"}, usage=USAGE)),
    event_of(chunk({"content": "a"}, usage=None)),
    event_of(chunk({}, "stop")),
    event_of(chunk({}, choices=[])),
    event_of(chunk({}, choices=[{"index": 0}])),
    event_of(chunk({}, choices=[{"index": 1, "finish_reason": "length", "delta": {}}] * 2)),
    event_of({"error": {"message": "no"}}),
    event_of([1]),
    event_of(usage_chunk()),
    b"data: {not json\n\n",
    b": comment\n\n",
    DONE,
]


def tapped(
    pieces: list[bytes], *, strips_usage: bool = True, limit: int = 1 << 20
) -> tuple[ChatStreamTap, bytes]:
    """Run a stream through a tap; returns it and what was let through, the rest included."""
    tap = ChatStreamTap(strips_usage=strips_usage, keeps_bytes_limit=limit)
    out = b"".join(tap.feed(piece) for piece in pieces)
    return tap, out + tap.finish()


def seen(tap: ChatStreamTap) -> tuple[Any, ...]:
    return (
        tap.usage,
        tap.model,
        tap.service_tier,
        tap.finish_reasons,
        tap.error,
        tap.is_done,
        tap.held,
        tap.kept_stream,
    )


@given(
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.booleans(),
    st.sampled_from([b"", b": keep-alive\n\n", b"\n", b"event: message\n", b"\r\n"]),
    st.data(),
)
def test_no_chunking_changes_what_passes_or_what_is_learnt(
    line_end: bytes, strips_usage: bool, between: bytes, data: st.DataObject
) -> None:
    events = [event_of(each, line_end) + between for each in whole_stream()]
    stream = b"".join(events) + b"data: [DONE]" + line_end * 2 + between
    once, all_at_once = tapped([stream], strips_usage=strips_usage)
    tap, in_pieces = tapped(data.draw(cuts(stream)), strips_usage=strips_usage)
    assert in_pieces == all_at_once
    assert seen(tap)[:-2] == seen(once)[:-2]
    assert tap.is_done
    assert tap.usage == USAGE
    assert tap.finish_reasons == {0: "stop"}
    assert tap.service_tier == "default"
    kept = b"".join(event for event in events if not (strips_usage and b'"choices":[]' in event))
    if not between.startswith((b"event", b"\r")):
        assert all_at_once.startswith(kept)


@pytest.mark.parametrize("size", range(1, 40))
def test_every_boundary_leaves_text_and_json_whole(size: int) -> None:
    """A cut inside a character, a number or a line end is no cut."""
    stream = stream_of(whole_stream(), b"\r\n")
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    tap, out = tapped(pieces, strips_usage=False)
    assert out + tap.held == stream
    assert tap.kept_stream == stream


def test_an_event_in_several_lines_is_understood() -> None:
    first = event_of(whole_stream()[0])
    lines = b'data: {"choices": [{"index": 0, "finish_reason":\ndata: "length"}],'
    lines += b' "usage":\ndata: {"a": 1}}\n\n'
    tap, out = tapped([first, lines, DONE])
    assert tap.finish_reasons == {0: "length"}
    assert tap.usage == {"a": 1}
    assert out == first + lines


def test_a_usage_chunk_the_caller_asked_for_passes() -> None:
    stream = stream_of(whole_stream())
    _, out = tapped([stream], strips_usage=False)
    assert out + DONE == stream


@pytest.mark.parametrize("choices", [[], None, "absent"])
def test_a_chunk_that_only_carries_usage_is_left_out(choices: Any) -> None:
    document = usage_chunk()
    if choices == "absent":
        del document["choices"]
    else:
        document["choices"] = choices
    first = event_of(whole_stream()[0])
    tap, out = tapped([first + event_of(document) + DONE])
    assert out == first
    assert tap.usage == USAGE


def test_usage_beside_an_ending_passes_and_the_last_one_counts() -> None:
    events = [chunk({"content": "a"}, usage={"prompt_tokens": 1}), chunk({}, "stop", usage=USAGE)]
    tap, out = tapped([stream_of(events)])
    assert out == stream_of(events, is_done=False)
    assert tap.usage == USAGE
    tap, _ = tapped([stream_of([*events, usage_chunk({})])])
    assert tap.usage == USAGE


def test_azures_first_chunk_without_choices_passes() -> None:
    opening = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "usage": None}
    tap, out = tapped([event_of(opening)])
    assert out == event_of(opening)
    assert tap.has_events


def test_choices_that_interleave_end_each_on_their_own() -> None:
    events = [chunk({"content": "x"}, index=i % 3) for i in range(9)]
    events += [chunk({}, reason, index=i) for i, reason in ((2, "stop"), (0, "length"))]
    tap, _ = tapped([stream_of(events)])
    assert tap.finish_reasons == {2: "stop", 0: "length"}


def test_the_end_marker_is_held_back_and_nothing_follows_it() -> None:
    opening = event_of(whole_stream()[0])
    tap, out = tapped([opening + DONE + event_of(chunk({"content": "more"})), DONE])
    assert out == opening
    assert tap.held == DONE
    assert tap.kept_stream == opening + DONE


@pytest.mark.parametrize(
    "ending", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r\n", b"data:[DONE]\r\r"]
)
def test_an_end_marker_cut_short_by_the_end_counts(ending: bytes) -> None:
    opening = event_of(whole_stream()[0])
    tap, out = tapped([opening, ending])
    assert tap.is_done
    assert out == opening
    assert tap.held.startswith(ending)


@pytest.mark.parametrize(
    "last",
    [b"", b"data: [DON", b"data: {", b": [DONE]\n\n", b"data: x [DONE]\n\n", b'data: "[DONE]"\n\n'],
)
def test_a_stream_without_its_end_marker_is_not_done(last: bytes) -> None:
    tap, _ = tapped([stream_of(whole_stream(), is_done=False) + last])
    assert not tap.is_done
    assert tap.kept_stream is None


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        ({"message": "m", "code": None}, {"message": "m", "code": None}),
        ("m", {"message": "m"}),
        (5, {"message": "5"}),
    ],
)
def test_an_error_inside_the_stream_is_noted_and_held_as_the_last_thing(
    error: Any, noted: dict[str, Any]
) -> None:
    opening, event = event_of(whole_stream()[0]), event_of({"error": error})
    for pieces in ([opening + event + opening + DONE], [opening, event, opening, DONE]):
        tap, out = tapped(pieces)
        assert tap.error == noted
        assert (out, tap.held) == (opening, event)
        assert tap.kept_stream is None


@pytest.mark.parametrize("nothing", [None, "", {}, [], 0, False])
def test_an_empty_error_field_is_no_error(nothing: Any) -> None:
    tap, out = tapped([event_of(chunk({"content": "a"}, error=nothing))])
    assert tap.error is None
    assert out


def test_text_that_looks_like_our_marks_is_text() -> None:
    text = '"error": {"usage": {"finish_reason": "stop" data: [DONE]\n\ndata: [DONE]\n\n'
    events = [chunk({"role": "assistant", "content": ""}), chunk({"content": text})]
    tap, out = tapped([stream_of(events, is_done=False)])
    assert out == stream_of(events, is_done=False)
    assert (tap.error, tap.usage, tap.finish_reasons, tap.is_done) == (None, None, {}, False)


@pytest.mark.parametrize(
    "document",
    [
        {"choices": 5, "model": 6, "usage": [], "service_tier": {}},
        {"choices": {"0": {}}, "usage": "many"},
        {"choices": [None, 1, "a", [], {"index": "x", "finish_reason": 7}]},
        {"choices": [{"index": [], "finish_reason": {"a": 1}}]},
        {"usage": None},
        [{"usage": {"a": 1}}],
        "text",
        12345678901234567890123,
        None,
    ],
)
def test_wrong_types_pass_and_teach_nothing(document: Any) -> None:
    opening = event_of(chunk({"role": "assistant"}))
    event = event_of(orjson.Fragment(str(document)) if isinstance(document, int) else document)
    tap, out = tapped([opening + event])
    assert out == opening + event
    assert (tap.usage, tap.finish_reasons, tap.service_tier) == (None, {}, "")


@pytest.mark.parametrize("garbage", [b"<html>", b"{", b'"\xff"', b"[" * 100_000])
def test_an_event_that_is_not_json_ends_the_stream_as_an_error(garbage: bytes) -> None:
    """Clients would fail on it with an error of their own parser; nothing after it passes."""
    opening = event_of(chunk({"role": "assistant"}))
    tap, out = tapped([opening + b"data: " + garbage + b"\n\n" + DONE])
    assert out == opening
    assert (tap.error, tap.held, tap.kept_stream) == (UNREADABLE, b"", None)


def test_numbers_only_some_parsers_read_pass_and_are_no_sign_of_life() -> None:
    """Until a real event came, a failure can still be hidden."""
    event = b'data: {"a": NaN}\n\n'
    tap, out = tapped([event])
    assert out == event
    assert (tap.has_events, tap.error) == (False, None)


def test_comments_are_no_sign_of_life() -> None:
    tap, out = tapped([b": ping\n\n" * 3])
    assert out == b": ping\n\n" * 3
    assert not tap.has_events


@pytest.mark.parametrize("limit", [0, 10, len(stream_of(whole_stream()))])
def test_what_does_not_fit_is_not_kept_in_part(limit: int) -> None:
    stream = stream_of(whole_stream())
    tap, _ = tapped([stream[i : i + 9] for i in range(0, len(stream), 9)], limit=limit)
    assert tap.is_done
    assert tap.kept_stream is None
    assert tap.kept == []


def test_an_endless_event_is_refused() -> None:
    tap = ChatStreamTap(strips_usage=False, keeps_bytes_limit=0)
    piece = b"x" * (1 << 20)
    for _ in range(LARGEST_EVENT_BYTES // len(piece)):
        tap.feed(piece)
    with pytest.raises(OversizedEventError):
        tap.feed(piece)


@given(st.lists(st.sampled_from(ODD_CHUNKS), min_size=1, max_size=8), st.booleans())
def test_the_lane_for_plain_chunks_says_what_the_other_says(
    chunks: list[bytes], strips: bool
) -> None:
    """A tap that gets bytes one by one never meets the plain lane: both learn and pass the same."""
    quick, slow = (ChatStreamTap(strips_usage=strips, keeps_bytes_limit=10_000) for _ in range(2))
    passed = [b"".join(map(quick.feed, chunks)), b""]
    for piece in chunks:
        passed[1] += b"".join(slow.feed(piece[at : at + 1]) for at in range(len(piece)))
    assert passed[0] == passed[1]
    for name in (
        "usage", "model", "service_tier", "finish_reasons", "error", "is_done", "has_events",
        "held", "kept_stream",
    ):  # fmt: skip
        assert getattr(quick, name) == getattr(slow, name), name
