"""A circuit in front of a server that may be away: after repeated failures nobody asks it (pure).

Used by storage.kv. It starts open: only a probe that was answered lets requests through, so no
request ever waits for a connection to be made.
"""

from dataclasses import dataclass

FAILURES_TO_OPEN = 3
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0


@dataclass(slots=True)
class Circuit:
    """The state of one server; times are monotonic seconds."""

    is_open: bool = True
    failures: int = 0
    pause_s: float = FIRST_PAUSE_S
    probe_at: float = 0.0

    def succeed(self) -> None:
        """An answer came: the server is well."""
        self.is_open, self.failures, self.pause_s = False, 0, FIRST_PAUSE_S

    def fail(self, now: float) -> None:
        """No answer came; what began before the circuit opened says nothing new."""
        if self.is_open:
            return
        self.failures += 1
        if self.failures >= FAILURES_TO_OPEN:
            self.is_open = True
            self.probe_at = now + self.pause_s

    def is_probe_due(self, now: float) -> bool:
        """Half open: the pause is over, one probe may go out."""
        return self.is_open and now >= self.probe_at

    def fail_probe(self, now: float) -> None:
        """Not even the probe was answered: wait twice as long."""
        self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)
        self.probe_at = now + self.pause_s
