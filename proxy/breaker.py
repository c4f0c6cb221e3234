"""A circuit breaker per upstream: after repeated failures it is left alone, then probed once.

Called by upstream.py around every attempt. Being rate limited (429) does not count: the server
is well.
"""

from dataclasses import dataclass, field

FAILURES_TO_OPEN = 5
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class Breaker:
    """State of one upstream; times are monotonic seconds."""

    failures: int = 0
    pause_s: float = FIRST_PAUSE_S
    open_until: float = 0.0
    is_probing: bool = False

    @property
    def is_well(self) -> bool:
        """Whether the last call that told something succeeded: then nothing is to be asked."""
        return self.failures == 0 and not self.is_probing

    @property
    def is_open(self) -> bool:
        return self.failures >= FAILURES_TO_OPEN

    def allows(self, now: float) -> bool:
        """Return whether a call may go out now; the first one after a pause is the only probe."""
        if not self.is_open:
            return True
        if now < self.open_until or self.is_probing:
            return False
        self.is_probing = True
        return True

    # A call that began before the breaker opened says nothing about now: only a probe closes it,
    # doubles its pause, or is given back.

    def succeed(self, *, is_probe: bool = True) -> None:
        if is_probe or not self.is_open:
            self.failures, self.pause_s, self.is_probing = 0, FIRST_PAUSE_S, False

    def fail(self, now: float, *, is_probe: bool = True) -> None:
        if self.is_open and not is_probe:
            return
        was_probe = self.is_probing
        self.failures += 1
        self.is_probing = False
        if was_probe:
            self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)
        if self.is_open:
            self.open_until = now + self.pause_s

    def abandon(self, *, is_probe: bool = True) -> None:
        """Forget a call that told nothing (the caller left): a probe is given back."""
        if is_probe:
            self.is_probing = False


@dataclass(slots=True)
class Breakers:
    """All breakers by upstream name; survives snapshot swaps."""

    by_upstream: dict[str, Breaker] = field(default_factory=dict)

    def of(self, upstream: str) -> Breaker:
        breaker = self.by_upstream.get(upstream)
        if breaker is None:
            breaker = self.by_upstream[upstream] = Breaker()
        return breaker

    def retry_after_s(self, upstreams: list[str], now: float) -> float:
        """Return the seconds until the first of these may be tried again."""
        waits = [self.of(name).open_until - now for name in upstreams]
        return max(1.0, min(waits, default=1.0))
