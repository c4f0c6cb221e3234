"""Admission: how many requests may be open at once, for all callers and for one key.

Called by pipeline.py before the body is read, so that a flood costs no memory.
"""

import asyncio
from collections import defaultdict

from config.operator_model import Limits
from proxy.errors import GatewayError

RETRY_AFTER_S = "1"


class ConcurrencyGate:
    """Counts open requests; every `enter` is paired with a `leave`."""

    def __init__(self) -> None:
        self.open_requests = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._by_key: defaultdict[str, int] = defaultdict(int)

    def enter(self, key_id: str, limits: Limits) -> None:
        """Count one request in, or raise 503 (gateway full) or 429 (key full)."""
        if self.open_requests >= limits.max_concurrent_requests:
            raise GatewayError(
                503,
                "gateway_overloaded",
                f"The gateway is serving {self.open_requests} requests, its limit.",
                "Retry after a second, or raise limits.max_concurrent_requests.",
                headers={"Retry-After": RETRY_AFTER_S},
            )
        if self._by_key[key_id] >= limits.max_concurrent_per_key:
            raise GatewayError(
                429,
                "rate_limit_exceeded",
                f"This key has {self._by_key[key_id]} requests open, its limit.",
                "Wait for one to finish, or raise limits.max_concurrent_per_key.",
                headers={"Retry-After": RETRY_AFTER_S},
            )
        self.open_requests += 1
        self._idle.clear()
        self._by_key[key_id] += 1

    def leave(self, key_id: str) -> None:
        self.open_requests -= 1
        left = self._by_key[key_id] - 1
        if left:
            self._by_key[key_id] = left
        else:
            del self._by_key[key_id]
        if not self.open_requests:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until no request is open."""
        await self._idle.wait()
