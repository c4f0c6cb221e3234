"""How often something may be tried: a token bucket for each name, in memory and bounded.

Used by the routes of /auth by address, and for one-time passwords by user.
"""

from collections import OrderedDict

from config.clock import Clock

MOST_NAMES = 10_000


class Attempts:
    """`most` at once, and as many again in each `period_s`.

    The least recently seen name is forgotten when there are too many: whoever comes from ten
    thousand addresses is not held back by any count of addresses.
    """

    def __init__(self, clock: Clock, most: int, period_s: float) -> None:
        self.most = most
        self._clock = clock
        self._period_s = period_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name: (left, at)

    def try_once(self, name: str) -> float:
        """0.0 when it may be tried, which is counted; else the seconds to wait."""
        left, now = self._refill(name), self._clock.monotonic()
        is_free = left >= 1
        self._left[name] = (left - 1 if is_free else left, now)
        self._left.move_to_end(name)
        while len(self._left) > MOST_NAMES:
            self._left.popitem(last=False)
        return 0.0 if is_free else (1 - left) * self._period_s / self.most

    def forgive(self, name: str) -> None:
        """Forget what was tried: it succeeded."""
        self._left.pop(name, None)

    def _refill(self, name: str) -> float:
        now = self._clock.monotonic()
        left, at = self._left.get(name, (float(self.most), now))
        return min(float(self.most), left + (now - at) * self.most / self._period_s)
