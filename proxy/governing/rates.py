"""Rates by the generic cell rate algorithm (ITU-T I.371, annex A, continuous-state form; pure).

A bucket of L units leaks L units a minute; a claim conforms where it still fits. So an idle key may
send L at once and L/60 a second from then on: no stretch of m minutes sees more than (m + 1) L.
Chosen over counting in windows because its state is one level, it says exactly how long to wait,
has no edge at which two full windows meet, and takes back what was claimed too much. Levels are
integers, in units x microseconds a minute, so that nothing is lost by rounding.
"""

WINDOW_US = 60_000_000


def leaked(level: int, limit: int, elapsed_us: int) -> int:
    """The level after some time."""
    return max(0, level - limit * elapsed_us)


def full(limit: int) -> int:
    """The level at which a bucket is full."""
    return limit * WINDOW_US


def remaining_units(level: int, limit: int) -> int:
    """How many units would still fit."""
    return max(0, full(limit) - level) // WINDOW_US


def seconds_until(level: int, limit: int, target: int = 0) -> float:
    """How long the bucket takes to leak down to a level."""
    return max(0, level - target) / limit / 1_000_000 if limit > 0 else 0.0


def share_of(limit: int, share: int) -> int:
    """This process's part of a limit: at least one, or small limits would refuse everybody."""
    return max(1, limit // share) if limit > 0 else 0
