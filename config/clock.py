"""The one reader of the system time. Every role makes one from the settings.

A scaled or moved clock serves simulations (a month in minutes): what it stamps is simulated.
"""

import time

from config.settings import Settings


class Clock:
    """Wall time in UTC, `scale` times as fast from `origin` (unix seconds); real by default."""

    def __init__(self, scale: float = 1.0, origin: float | None = None) -> None:
        if scale <= 0:
            raise ValueError("a clock's scale must be above 0")
        self.scale = scale
        self.is_scaled = scale != 1.0 or origin is not None
        self._started_ns = time.monotonic_ns()
        self._origin_us = time.time_ns() // 1000 if origin is None else round(origin * 1_000_000)

    @classmethod
    def of(cls, settings: Settings) -> "Clock":
        """The clock the environment asks for: one and the same simulated time in every process."""
        origin = settings.clock_origin
        if origin is None:
            return cls()
        elapsed_s = time.time() - origin.real_s
        return cls(settings.clock_scale, origin.simulated_s + elapsed_s * settings.clock_scale)

    def now(self) -> float:
        """Unix time in seconds, UTC."""
        return self.now_us() / 1_000_000 if self.is_scaled else time.time()

    def now_us(self) -> int:
        """Unix time in whole microseconds, UTC."""
        if not self.is_scaled:
            return time.time_ns() // 1000
        elapsed_ns = time.monotonic_ns() - self._started_ns
        return self._origin_us + int(elapsed_ns * self.scale) // 1000

    def monotonic(self) -> float:
        """Seconds that never jump, for durations and deadlines; never scaled: sockets are not."""
        return time.monotonic()
