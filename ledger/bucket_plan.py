"""Which part of a period is read by the day, which by the hour and which by the event.

Used by ledger.usage. A bucket is read as it was summed when it lies whole in the period and its
sums are of all that came in.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from storage.columnar import Columnar

HOUR_US = 3_600_000_000
DAY_HOURS = 24
MOST_WINDOWS = 64  # of stale hours; beyond, what lies between is read by the event too
Window = tuple[int, int]  # half-open: unix microseconds, or numbers of buckets

_STALE = """
SELECT {hours} AS hours, bucket, counted AS inserts, latest AS version FROM (
    SELECT bucket, sumIf(inserts, version = 0) AS counted, max(version) AS latest,
        argMax(inserts, version) AS covered
    FROM (
        SELECT intDiv(hour, {hours}) AS bucket, inserts, toUInt64(0) AS version
        FROM usage_hour_marks
        UNION ALL
        SELECT bucket, inserts, version FROM usage_rolled WHERE hours = {hours}
    )
    GROUP BY bucket
)
WHERE latest = 0 OR counted != covered
"""
STALE = f"{_STALE.replace('{hours}', '1')} UNION ALL {_STALE.replace('{hours}', '24')}"


@dataclass(frozen=True, slots=True)
class BucketPlan:
    """`days` and `hours` are read as summed, `events` (microseconds) one by one.

    `stale` are all hours (microseconds) whose sums are not of all that came in, of any period.
    """

    days: tuple[Window, ...]
    hours: tuple[Window, ...]
    events: tuple[Window, ...]
    stale: tuple[Window, ...]

    @property
    def summed_hours(self) -> tuple[Window, ...]:
        """Every hour that is read as summed, by the hour or by the day."""
        days = ((since * DAY_HOURS, until * DAY_HOURS) for since, until in self.days)
        return merge(sorted([*days, *self.hours]))


async def plan_buckets(columnar: Columnar, since_us: int, until_us: int) -> BucketPlan:
    """As the store is now. Raises ColumnarError."""
    rows = await columnar.query(STALE)
    return make_plan(
        {row["bucket"] for row in rows if row["hours"] == 1},
        {row["bucket"] for row in rows if row["hours"] == DAY_HOURS},
        (since_us, until_us),
    )


def make_plan(stale_hours: set[int], stale_days: set[int], period: Window) -> BucketPlan:
    """What is not stale is read as summed, days before hours."""
    since_us, until_us = period
    stale = limit(merge(sorted((hour, hour + 1) for hour in stale_hours)))
    since_us, until_us = period
    whole = (-(-since_us // HOUR_US), until_us // HOUR_US)
    if whole[0] >= whole[1]:
        return BucketPlan((), (), (period,), _in_us(stale))
    unfit = [*((day, day + 1) for day in stale_days), *(_days_of(each) for each in stale)]
    whole_days = (-(-whole[0] // DAY_HOURS), whole[1] // DAY_HOURS)
    days = subtract([whole_days], limit(merge(sorted(unfit))))
    of_days = [(since * DAY_HOURS, until * DAY_HOURS) for since, until in days]
    hours = subtract([whole], merge(sorted([*of_days, *stale])))
    events = subtract([period], _in_us(merge(sorted([*of_days, *hours]))))
    return BucketPlan(days, hours, events, _in_us(stale))


def _days_of(hours: Window) -> Window:
    return hours[0] // DAY_HOURS, -(-hours[1] // DAY_HOURS)


def merge(windows: Iterable[Window]) -> tuple[Window, ...]:
    """Windows in order, those that touch as one."""
    merged: list[Window] = []
    for since, until in windows:
        if merged and since <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(until, merged[-1][1]))
        else:
            merged.append((since, until))
    return tuple(merged)


def limit(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """At most MOST_WINDOWS, by taking in the gaps of the earliest."""
    if len(windows) <= MOST_WINDOWS:
        return windows
    kept = windows[-MOST_WINDOWS + 1 :]
    return ((windows[0][0], windows[-MOST_WINDOWS][1]), *kept)


def subtract(windows: Iterable[Window], taken: Iterable[Window]) -> tuple[Window, ...]:
    """What is left of windows without those that are taken; both in order."""
    left: list[Window] = []
    holes = list(taken)
    for since, until in windows:
        start = since
        for hole_since, hole_until in holes:
            if start < min(hole_since, until):
                left.append((start, min(hole_since, until)))
            start = max(start, hole_until)
        if start < until:
            left.append((start, until))
    return tuple(left)


def _in_us(hours: Iterable[Window]) -> tuple[Window, ...]:
    return tuple((since * HOUR_US, until * HOUR_US) for since, until in hours)
