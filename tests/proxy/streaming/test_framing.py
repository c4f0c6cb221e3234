"""Framing of server-sent events: rows 15 and 16 of the fault table, point 11 of the wire list."""

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.streaming.framing import (
    LARGEST_EVENT_BYTES,
    EventFramer,
    OversizedEventError,
    data_of,
    split_events,
)
from tests.proxy.samples import cuts

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
LINES = st.one_of(
    TEXT.map(lambda text: b"data: " + text.encode()),
    TEXT.map(lambda text: b"data:" + text.encode()),
    TEXT.map(lambda text: b": " + text.encode()),
    st.sampled_from([b"event: message", b"id: 7", b"data", b"retry: 5"]),
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream of events with any line ends, and the payload of each event."""
    parts: list[bytes] = []
    payloads: list[bytes] = []
    for lines in draw(st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=5)):
        parts += [line + draw(LINE_ENDS) for line in lines]
        parts += draw(st.lists(LINE_ENDS, min_size=1, max_size=3))
        values = [
            line[4:].removeprefix(b":").removeprefix(b" ") for line in lines if line[:4] == b"data"
        ]
        payloads.append(b"\n".join(values))
    return b"".join(parts), payloads


@given(streams(), st.data())
def test_no_chunking_changes_what_comes_out(
    drawn: tuple[bytes, list[bytes]], data: st.DataObject
) -> None:
    stream = drawn[0] + b"data: end\n\n"
    framer = EventFramer()
    fed = [framer.feed(piece) for piece in data.draw(cuts(stream))]
    assert b"".join(fed) == stream
    assert framer.pending == b""
    payloads = [data_of(event) for part in fed for event in split_events(part)]
    assert [p for p in payloads if p] == [p for p in map(data_of, split_events(stream)) if p]


@given(streams())
def test_events_are_told_apart_and_read_whatever_their_line_ends(
    drawn: tuple[bytes, list[bytes]],
) -> None:
    stream, payloads = drawn
    assume(b"\r\n" not in stream)  # two drawn ends, CR and LF, may have become one
    found = [data_of(event) for event in split_events(stream)]
    assert [payload for payload in found if payload] == [p for p in payloads if p]


@given(
    st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=5), st.sampled_from([b"\n", b"\r\n"])
)
def test_lf_and_crlf_read_the_same(events: list[list[bytes]], line_end: bytes) -> None:
    stream = b"".join(b"".join(line + line_end for line in lines) + line_end for lines in events)
    assert list(split_events(stream)) == [
        b"".join(line + line_end for line in lines) + line_end for lines in events
    ]


@given(st.binary(max_size=40))
def test_any_bytes_come_out_again_in_order(data: bytes) -> None:
    framer = EventFramer()
    out = b"".join(framer.feed(bytes([byte])) for byte in data)
    assert out + framer.pending == data
    assert b"".join(split_events(data)) == data


def test_a_carriage_return_waits_for_its_line_feed() -> None:
    framer = EventFramer()
    assert framer.feed(b"data: a\r\n\r") == b""
    assert framer.feed(b"\ndata: b\r\r") == b"data: a\r\n\r\n"
    assert framer.feed(b"d") == b"data: b\r\r"
    assert framer.pending == b"d"


def test_blank_lines_stand_alone() -> None:
    assert list(split_events(b"\n\ndata: a\n\n\ndata: b\n\n")) == [
        b"\n\n",
        b"data: a\n\n",
        b"\n",
        b"data: b\n\n",
    ]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data: {}\r\n\r\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"data:  x\n\n", b" x"),
        (b"event: e\ndata: a\nid: 1\ndata: b\n\n", b"a\nb"),
        (b"data: a\rdata: b\n\n", b"a\nb"),
        (b"data: a\r\r", b"a"),
        (b"data\n\n", b""),
        (b": data: no\n\n", b""),
        (b"database: no\n\n", b""),
        (b"\n", b""),
        (b"", b""),
    ],
)
def test_payload(event: bytes, payload: bytes) -> None:
    assert data_of(event) == payload


def test_an_endless_event_is_refused_and_costs_no_more_than_its_bytes() -> None:
    """Row 16: an upstream may not make us hold or search without bound."""
    framer = EventFramer()
    piece = b"x" * 4096
    began = time.process_time()
    for _ in range(LARGEST_EVENT_BYTES // len(piece)):
        framer.feed(piece)
    with pytest.raises(OversizedEventError):
        framer.feed(piece)
    assert time.process_time() - began < 5.0
