"""A record of the segment log as the row the store takes: checked, rated, with its ids.

Called by the shipper in a thread, once a record. The columns are those of the migration.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson

from ledger.book_shelf import BookShelf
from ledger.end_rating import rate_end
from ledger.events import END, SCHEMA_VERSION, START, AttemptEnd, AttemptStart, event_id
from ledger.segment_reader import Record
from ledger.start_form import VARYING

_INT64_MAX = 2**63 - 1
_DAY_US = 86_400_000_000
_LATEST_US = 4_102_444_800_000_000  # the year 2100: later is a broken clock, and no partition


class UnreadableEventError(Exception):
    """A record that is whole but no usage event of a schema this version knows."""


def row_of(record: Record, segment: str, books: BookShelf) -> dict[str, Any]:
    """The row for table usage_events. Raises UnreadableEventError."""
    event = decode_event(record.payload)
    kind = event["kind"]
    identity = (event["tenant"], event["request_id"], event["attempt"])
    start_id = event_id(*identity, START)
    # What is zero or empty is left to the column's default: half the bytes to write and to parse.
    row: dict[str, Any] = {
        **{name: value for name, value in event.items() if value},
        "event_id": start_id if kind == START else event_id(*identity, END),
        "start_id": start_id,
        "writer": segment.partition("/")[0],
        "segment": segment,
        "log_offset": record.offset,
        "next_offset": record.next_offset,
    }
    if kind == END:
        rated = rate_end(books.find(event["price_book"]), event)
        row["cost_picousd"] = rated.cost.picousd
        row["price_state"] = rated.cost.state
        row["gross_baseline_picousd"] = rated.gross_baseline.picousd
        row["baseline_price_state"] = rated.gross_baseline.state
    return row


def month_of(row: Mapping[str, Any]) -> str:
    """The partition a row belongs to: "YYYYMM" of its time in UTC."""
    return _month_of_day(row["at_us"] // _DAY_US)


@lru_cache(maxsize=64)
def _month_of_day(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).strftime("%Y%m")


def decode_event(payload: bytes) -> dict[str, Any]:
    """Every field of the event, each of its declared type. Raises UnreadableEventError.

    A value of a wrong type is turned into what the column takes: one odd tag must neither be
    lost nor hold up the events behind it.
    """
    try:
        event = orjson.loads(payload)
        shape = _SHAPES[event["kind"]]
        if event["schema"] > SCHEMA_VERSION:
            message = f"schema {event['schema']} was written by a newer version"
            raise UnreadableEventError(message)
        if not all(event[name] for name in ("tenant", "request_id", "attempt")):
            message = "it names no attempt"
            raise UnreadableEventError(message)
        if not 0 < event["at_us"] < _LATEST_US:
            message = f"its time {event['at_us']} is no instant"
            raise UnreadableEventError(message)
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        message = f"no usage event: {error!r}"
        raise UnreadableEventError(message) from error
    return event if shape.fits(event) else shape.force(event)


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)


def _as_int(value: Any) -> int:
    try:
        return max(-_INT64_MAX, min(int(value), _INT64_MAX))
    except (TypeError, ValueError, OverflowError):
        return 0


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _as_texts(value: Any) -> list[str]:
    return [_as_text(item) for item in value] if isinstance(value, list) else []


def _as_tags(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: _as_text(item) for key, item in value.items()}


def _as_counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {_as_text(key): max(_as_int(count), 0) for key, count in value.items()}


# Declared type -> what the log holds, the value of a missing field, the way to force another.
_BY_TYPE: dict[Any, tuple[type, Any, Callable[[Any], Any]]] = {
    str: (str, "", _as_text),
    bool: (bool, False, bool),
    int: (int, 0, _as_int),
    float: (float, 0.0, _as_float),
    list[str]: (list, [], _as_texts),
    dict[str, str]: (dict, {}, _as_tags),
    dict[str, int]: (dict, {}, _as_counts),
}


class _Shape:
    """The fields of one kind of event. Nearly every event fits, and is then taken as it is."""

    def __init__(
        self, event_type: type[AttemptStart] | type[AttemptEnd], last: tuple[str, ...] = ()
    ) -> None:
        """`last` are the fields that are written behind the others, in this order."""
        types = {field.name: field.type for field in fields(event_type)}
        names = [*(name for name in types if name not in last), *last]
        declared = [(name, _BY_TYPE.get(types[name], _BY_TYPE[str])) for name in names]
        self._columns = [(name, default, force) for name, (_, default, force) in declared]
        self._names = [name for name, _ in declared]
        self._types = [kind for _, (kind, _, _) in declared]
        self._ints = itemgetter(*(name for name, (kind, _, _) in declared if kind is int))
        self._lists = [name for name, (kind, _, _) in declared if kind is list]

    def fits(self, event: dict[str, Any]) -> bool:
        """Whether names, order and types are those declared, as this version writes them."""
        return (
            list(event) == self._names
            and list(map(type, event.values())) == self._types
            and max(self._ints(event)) <= _INT64_MAX
            and all(type(item) is str for name in self._lists for item in event[name])
            and all(type(item) is str for item in event["tags"].values())
            and all(
                type(count) is int and 0 <= count <= _INT64_MAX
                for count in event.get("units", {}).values()
            )
        )

    def force(self, event: dict[str, Any]) -> dict[str, Any]:
        return {name: force(event.get(name, default)) for name, default, force in self._columns}


_SHAPES = {START: _Shape(AttemptStart, VARYING), END: _Shape(AttemptEnd)}
