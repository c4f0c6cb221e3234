"""From record to row: ids, place, amounts, and types that the store takes."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger.events import END, SCHEMA_VERSION, START, event_id
from ledger.segment_reader import Record
from ledger.usage_row import UnreadableEventError, decode_event, month_of, row_of
from tests.ledger.samples import AT_US, make_books, make_end, make_start

SEGMENT = "proxy-0-aa/00000001"


def record_of(event: Any) -> Record:
    return Record(orjson.dumps(event), 10, 99)


def test_a_row_knows_its_ids_and_its_place(tmp_path: Path) -> None:
    books, book_hash = make_books(tmp_path)
    start = row_of(record_of(make_start("r1", 2)), SEGMENT, books)
    end = row_of(record_of(make_end("r1", 2, price_book=book_hash)), SEGMENT, books)
    assert start["event_id"] == start["start_id"] == event_id("acme", "r1", 2, START)
    assert (end["event_id"], end["start_id"]) == (event_id("acme", "r1", 2, END), start["event_id"])
    assert (end["writer"], end["segment"]) == ("proxy-0-aa", SEGMENT)
    assert (end["log_offset"], end["next_offset"]) == (10, 99)
    assert end["cost_picousd"] == end["gross_baseline_picousd"] == 450_000_000
    assert "cost_picousd" not in start


def test_a_missing_book_leaves_the_amounts_unknown(tmp_path: Path) -> None:
    books, _ = make_books(tmp_path)
    row = row_of(record_of(make_end()), SEGMENT, books)
    assert (row["cost_picousd"], row["price_state"]) == (None, "unknown")


def document(**changes: Any) -> dict[str, Any]:
    return {**orjson.loads(orjson.dumps(make_end())), **changes}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tags": {"a": 1, "b": None}}, {"tags": {"a": "1", "b": ""}}),
        ({"units": {"a": "3", "b": -1}}, {"units": {"a": 3, "b": 0}}),
        ({"units": {"a": 2**63}}, {"units": {"a": 2**63 - 1}}),
        ({"units": [1]}, {"units": {}}),
        ({"tags": ["a"], "finish_reasons": "stop"}, {"tags": {}, "finish_reasons": []}),
        ({"input_tokens": 10**18 * 10, "attempt": 1.0}, {"input_tokens": 2**63 - 1, "attempt": 1}),
        ({"input_tokens": None, "wait_us": "x"}, {"input_tokens": 0, "wait_us": 0}),
        ({"is_final": 1, "served_tier": None}, {"is_final": True, "served_tier": ""}),
        ({"later_field": 1}, {}),
    ],
)
def test_odd_values_become_what_the_column_takes(
    changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    event = decode_event(orjson.dumps(document(**changes)))
    assert {name: event[name] for name in expected} == expected
    assert "later_field" not in event


def test_a_field_an_older_version_did_not_write_has_its_zero() -> None:
    old = document()
    for name in ("tags", "total_us", "is_final", "served_tier", "unpriced_keys"):
        del old[name]
    event = decode_event(orjson.dumps(old))
    assert (event["tags"], event["total_us"], event["is_final"]) == ({}, 0, False)


@pytest.mark.parametrize(
    "payload",
    [
        b"not json", b"[]", b"3", b"{}",
        orjson.dumps(document(schema=SCHEMA_VERSION + 1)),
        orjson.dumps(document(kind="middle")),
        orjson.dumps(document(request_id="")),
        orjson.dumps(document(at_us=0)),
        orjson.dumps(document(at_us=2**62)),
        orjson.dumps(document(at_us="now")),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(UnreadableEventError):
        decode_event(payload)


@pytest.mark.parametrize(
    ("at_us", "month"),
    [(AT_US, "202611"), (1_798_761_599_999_999, "202612"), (1_798_761_600_000_000, "202701")],
)
def test_months_are_of_utc(at_us: int, month: str) -> None:
    assert month_of({"at_us": at_us}) == month
