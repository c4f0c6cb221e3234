"""Which part of a period is read by the hour and which by the event. Used by ledger.usage.

An hour is read whole when it lies whole in the period and its sums are of all that came in.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.hourly_sql import DIRTY, HOUR_US, Window
from storage.columnar import Columnar

MOST_WINDOWS = 64  # beyond, what lies between is read by the event too


@dataclass(frozen=True, slots=True)
class HourPlan:
    """`windows` (microseconds) are read by the event; of [first, last) all hours but `apart`."""

    first: int
    last: int
    apart: tuple[Window, ...]
    windows: tuple[Window, ...]


async def plan_hours(columnar: Columnar, since_us: int, until_us: int) -> HourPlan:
    """As the store is now. Raises ColumnarError."""
    first, last = -(-since_us // HOUR_US), until_us // HOUR_US
    if first >= last:
        return HourPlan(first, first, (), ((since_us, until_us),))
    rows = await columnar.query(DIRTY, {"first": first, "last": last})
    apart = merge((row["hour"], row["hour"] + 1) for row in rows)
    edges = [(since_us, first * HOUR_US), (last * HOUR_US, until_us)]
    inner = [(since * HOUR_US, until * HOUR_US) for since, until in apart]
    windows = merge(sorted(each for each in [*edges, *inner] if each[0] < each[1]))
    return HourPlan(first, last, apart, windows)


def merge(windows: Iterable[Window]) -> tuple[Window, ...]:
    """Windows in order, those that touch as one; at most MOST_WINDOWS, by taking in gaps."""
    merged: list[Window] = []
    for since, until in windows:
        if merged and since <= merged[-1][1]:
            merged[-1] = (merged[-1][0], until)
        else:
            merged.append((since, until))
    if len(merged) > MOST_WINDOWS:
        kept = merged[-MOST_WINDOWS + 1 :]
        merged = [(merged[0][0], merged[-MOST_WINDOWS][1]), *kept]
    return tuple(merged)
