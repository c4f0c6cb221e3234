"""How long ago the control plane vouched for the snapshot, and what follows from it.

Part of live.py's holder. Fresh: what is not in the snapshot is not. In doubt: a key nobody knows
may be a new one. Over: keys may have been revoked long since, and nothing is served.
"""

from pathlib import Path

from config.clock import Clock
from policies.snapshot_age import CONFIRMED_FILE, SNAPSHOT_FILE

# The control process vouches every other second; what is missed now and then is no outage.
DOUBT_AFTER_S = 10.0
DEFAULT_MAX_STALE_S = 86_400


class Freshness:
    """Of one proxy process; seconds on the monotonic clock, which no step of the time moves."""

    def __init__(self, clock: Clock, max_stale_s: float, age_s: float) -> None:
        self._clock = clock
        self._max_stale_s = max_stale_s
        self._confirmed = clock.monotonic() - age_s

    def confirm(self) -> None:
        """The control plane says: this is how things are now."""
        self._confirmed = self._clock.monotonic()

    def note_age(self, age_s: float) -> None:
        """What lies on disk was vouched for so long ago, which may be later than what is known."""
        self._confirmed = max(self._confirmed, self._clock.monotonic() - age_s)

    @property
    def age_s(self) -> float:
        return self._clock.monotonic() - self._confirmed

    @property
    def is_doubtful(self) -> bool:
        return self.age_s > DOUBT_AFTER_S

    @property
    def is_over(self) -> bool:
        return self.age_s > self._max_stale_s


def age_on_disk(home: Path, clock: Clock) -> float:
    """Seconds since a control plane last vouched for the snapshot in this home; 0 unless known.

    A simulated time says nothing of real files.
    """
    if clock.is_scaled:
        return 0.0
    written = [_written(home / name) for name in (SNAPSHOT_FILE, CONFIRMED_FILE)]
    return max(0.0, clock.now() - max(written)) if any(written) else 0.0


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
