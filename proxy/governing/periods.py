"""When a budget's day, week or month begins and ends, in the time zone of its tenant (pure).

Used by rules.py. A day of 23 or 25 hours is one day: its bounds are local midnights.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from policies.limits import Period


class Span(NamedTuple):
    """One period; Unix seconds, the end is the first moment of the next."""

    name: str  # such as month-2026-11-01, by its first local day
    start_s: float
    end_s: float


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this IANA name; UTC where this machine knows none of it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def span_at(period: Period, zone: ZoneInfo, now_s: float) -> Span:
    """The period that holds this moment."""
    today = datetime.fromtimestamp(now_s, UTC).astimezone(zone).replace(
        hour=0, minute=0, second=0, microsecond=0, fold=0
    )  # fmt: skip
    if period == "day":
        start, end = today, today + timedelta(days=1)
    elif period == "week":
        start = today - timedelta(days=today.weekday())
        end = start + timedelta(days=7)
    else:
        start = today.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    return Span(f"{period}-{start:%Y-%m-%d}", start.timestamp(), end.timestamp())
