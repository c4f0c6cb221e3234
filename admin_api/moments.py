"""Moments as the admin API answers them: always in UTC and said to be. Used by answers' models."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator


def as_utc(moment: datetime) -> datetime:
    """The moment in UTC; SQLite keeps no zone, and all that is stored is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(as_utc)]
