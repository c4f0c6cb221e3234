"""How long ago SQL confirmed the sealed snapshot of a home: the modification time of a file.

Confirmed by roles/sql_follower.py; read by a start without SQL, and by the proxies.
"""

from pathlib import Path

from config.clock import Clock

CONFIRMED_FILE = "snapshot.confirmed"
SNAPSHOT_FILE = "snapshot.sealed"
# A follower looks every 2 s; a proxy that hears nothing for so long may lack a change.
UNCONFIRMED_AFTER_S = 15.0


def confirm_snapshot(home: Path) -> None:
    """Note that SQL and the snapshot on disk agree now. OSError."""
    (home / CONFIRMED_FILE).touch(mode=0o600)


def read_age_s(home: Path) -> float | None:
    """Seconds since SQL confirmed it, or since it was written; None where there is no snapshot."""
    times = []
    for name in (SNAPSHOT_FILE, CONFIRMED_FILE):
        try:
            times.append((home / name).stat().st_mtime)
        except OSError:
            if name == SNAPSHOT_FILE:
                return None
    # Files are stamped in real time, whatever a simulated clock shows.
    return max(0.0, Clock().now() - max(times))
