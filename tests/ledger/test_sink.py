"""The sink: events arrive whole, whatever a caller's body had in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from config.clock import Clock
from ledger.segment_log import SegmentWriter
from ledger.segment_reader import list_segments, read_segment
from ledger.sink import EventSink
from ledger.usage_row import decode_event
from tests.ledger.samples import make_end, make_start


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[EventSink]:
    made = EventSink(SegmentWriter(tmp_path, "proxy-0-aa"), Clock())
    yield made
    made.close()


def read_events(directory: Path) -> list[dict[str, Any]]:
    return [
        orjson.loads(record.payload)
        for segment in list_segments(directory)
        for record in read_segment(segment.path)
    ]


def test_events_are_in_the_log_in_order(sink: EventSink, tmp_path: Path) -> None:
    sink.start(make_start("r1"))
    sink.start_and_end(make_start("r2"), make_end("r2"))
    sink.end(make_end("r1"))
    found = [(event["request_id"], event["kind"]) for event in read_events(tmp_path)]
    assert found == [("r1", "start"), ("r2", "start"), ("r2", "end"), ("r1", "end")]


def test_an_event_without_a_time_gets_one(sink: EventSink, tmp_path: Path) -> None:
    sink.end(make_end(at_us=0))
    assert read_events(tmp_path)[0]["at_us"] > 1_700_000_000_000_000


@pytest.mark.parametrize(
    "changes",
    [
        {"requested_model": "half a character \ud800"},
        {"max_output_tokens": 10**30},
        {"user": "x" * 2_000_000},
        {"tags": {f"key-{number}": "v" * 5000 for number in range(500)}},
        {"reasons": ["\udfff"] * 10_000},
        {"prefix_blocks": [None, 1, True, 1.5]},
    ],
)
def test_what_cannot_be_written_is_cut_and_not_lost(
    sink: EventSink, tmp_path: Path, changes: dict[str, Any]
) -> None:
    sink.start(make_start("r1", **changes))
    (segment,) = list_segments(tmp_path)
    (record,) = read_segment(segment.path)
    assert len(record.payload) < 1_000_000
    assert decode_event(record.payload)["request_id"] == "r1"
