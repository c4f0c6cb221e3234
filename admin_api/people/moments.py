"""Moments between the clock and SQL: Unix seconds here, aware UTC there (SQLite gives naive ones).

Used by whatever here reads or writes rows that expire.
"""

from datetime import UTC, datetime


def moment_of(seconds: float) -> datetime:
    """Unix seconds as SQL stores them."""
    return datetime.fromtimestamp(seconds, UTC)


def aware(moment: datetime) -> datetime:
    """A moment as SQL gives it, in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
