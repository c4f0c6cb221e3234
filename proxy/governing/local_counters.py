"""Counters in this process's memory: exact within it, a share of each limit where there are more.

Used by the governor on memory://, and by shared_counters.py for as long as the server is away.
"""

from collections.abc import Callable
from dataclasses import dataclass

from config.clock import Clock
from proxy.governing.claims import Claim, Correction, Hold, Verdict
from proxy.governing.rates import WINDOW_US, full, leaked, share_of


@dataclass(slots=True)
class Purse:
    """Money of one period, in pico-USD.

    `known` is what all processes have used as far as this one was told, `own` what it has used
    since without telling.
    """

    known: int
    own: int
    end_s: float


class LocalCounters:
    """All counters of one process; `share` says among how many the limits are divided."""

    def __init__(self, clock: Clock, share: Callable[[], int]) -> None:
        self._clock = clock
        self._share = share
        self._levels: dict[str, tuple[int, int, int]] = {}  # level, limit, when in microseconds
        self.open: dict[str, set[str]] = {}
        self.purses: dict[str, Purse] = {}

    async def reserve(self, hold: Hold) -> Verdict:
        """Claim without waiting for anything."""
        return self.reserve_now(hold)

    def reserve_now(self, hold: Hold) -> Verdict:
        """Claim everything a hold names, or nothing."""
        share, now_us = self._share(), self._now_us()
        states: list[int] = []
        refused = -1
        for place, claim in enumerate(hold.claims):
            state, fits = self._weigh(claim, share, now_us)
            states.append(state)
            if not fits and refused < 0:
                refused = place
        if refused < 0:
            self._apply(hold, states, now_us)
        return Verdict(refused, tuple(states))

    def settle(self, hold: Hold, corrections: list[Correction]) -> None:
        """Put right what was claimed here."""
        self.close(hold)
        for claim, amount in corrections:
            self.correct(claim, amount)

    def close(self, hold: Hold) -> None:
        """The request is over: its places are free."""
        for claim in hold.claims:
            if claim.meter.kind == "open":
                ids = self.open.get(claim.counter)
                if ids is not None:
                    ids.discard(hold.id)
                    if not ids:
                        del self.open[claim.counter]

    def correct(self, claim: Claim, amount: int) -> None:
        """Move one counter by what was used beyond the claim."""
        if claim.meter.kind == "money":
            self._purse_of(claim).own += amount
        elif claim.meter.limit and claim.counter in self._levels:
            level, limit, at_us = self._levels[claim.counter]
            moved = level + amount * _weight(claim.meter.limit, self._share())
            self._levels[claim.counter] = (max(0, moved), limit, at_us)

    def seed(self, tenant: str, counter: str, picousd: int, end_s: float) -> None:
        """What all processes had used before this one began to count."""
        del tenant  # its name is in the counter's
        purse = self.purses.get(counter)
        if purse is None:
            purse = self.purses[counter] = Purse(0, 0, end_s)
        purse.known = picousd

    def known_of(self, claim: Claim) -> int:
        """What all processes had used of this money when last heard of, in pico-USD."""
        return self.known_in(claim.counter)

    def known_in(self, counter: str) -> int:
        """The same by the counter's name."""
        purse = self.purses.get(counter)
        return purse.known if purse is not None else 0

    def note(self, hold: Hold, states: tuple[int, ...]) -> None:
        """Remember what the server's counters said, for when it is away."""
        now_us = self._now_us()
        for claim, state in zip(hold.claims, states, strict=True):
            if claim.meter.kind == "money":
                self._purse_of(claim).known = state
            elif claim.meter.kind == "open":
                self.open.setdefault(claim.counter, set()).add(hold.id)
            elif claim.meter.limit is not None:
                self._levels[claim.counter] = (state, claim.meter.limit, now_us)

    def sweep(self) -> None:
        """Forget buckets that are empty, and money of periods that are over."""
        now_us, now_s = self._now_us(), self._clock.now()
        for name in [
            name for name, bucket in self._levels.items() if not _level_at(bucket, now_us)
        ]:
            del self._levels[name]
        for name in [name for name, purse in self.purses.items() if purse.end_s <= now_s]:
            del self.purses[name]

    def _weigh(self, claim: Claim, share: int, now_us: int) -> tuple[int, bool]:
        """The state after this claim, and whether its limit allows it."""
        kind, limit = claim.meter.kind, claim.meter.limit
        if kind == "money":
            purse = self.purses.get(claim.counter)
            known, own = (purse.known, purse.own) if purse is not None else (0, 0)
            used = known + own + claim.amount
            if limit is None or not claim.amount:
                return used, True
            return used, own + claim.amount <= max(0, limit - known) // share
        if limit is None:
            return 0, True
        if kind == "open":
            count = len(self.open.get(claim.counter, ())) + 1
            return count, count <= share_of(limit, share)
        level = _level_at(self._levels.get(claim.counter, (0, 0, 0)), now_us)
        level += claim.amount * _weight(limit, share)
        return level, level <= full(limit)

    def _apply(self, hold: Hold, states: list[int], now_us: int) -> None:
        for claim, state in zip(hold.claims, states, strict=True):
            if claim.meter.kind == "money":
                self._purse_of(claim).own += claim.amount
            elif claim.meter.kind == "open":
                self.open.setdefault(claim.counter, set()).add(hold.id)
            elif claim.meter.limit is not None:
                self._levels[claim.counter] = (state, claim.meter.limit, now_us)

    def _purse_of(self, claim: Claim) -> Purse:
        purse = self.purses.get(claim.counter)
        if purse is None:
            end_s = claim.span.end_s if claim.span is not None else 0.0
            purse = self.purses[claim.counter] = Purse(0, 0, end_s)
        return purse

    def _now_us(self) -> int:
        return int(self._clock.monotonic() * 1_000_000)


def _level_at(bucket: tuple[int, int, int], now_us: int) -> int:
    level, limit, at_us = bucket
    return leaked(level, limit, now_us - at_us)


def _weight(limit: int, share: int) -> int:
    """What one unit adds to the level: several times as much where several share the limit."""
    return WINDOW_US * limit // share_of(limit, share) if limit > 0 else WINDOW_US
