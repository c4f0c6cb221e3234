"""Coalescing: identical requests in flight share one upstream call.

Called by cache.py. The leader lands its flight with the answer or with None (it failed or left);
followers then go on their own, so that one broken call never breaks the others.
"""

import asyncio

from proxy.answers import StoredAnswer


class Flights:
    """Flights in the air by request key."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Future[StoredAnswer | None]] = {}

    def lead(self, key: str) -> bool:
        """Open a flight; False when somebody already leads one for this key."""
        if key in self._flights:
            return False
        self._flights[key] = asyncio.get_running_loop().create_future()
        return True

    async def follow(self, key: str, timeout_s: float) -> StoredAnswer | None:
        """Wait for the leader's answer; None when it failed or left. Raises TimeoutError."""
        flight = self._flights.get(key)
        if flight is None:
            return None
        done, _ = await asyncio.wait({flight}, timeout=max(0.0, timeout_s))
        if not done:
            raise TimeoutError
        return flight.result()

    def land(self, key: str, answer: StoredAnswer | None) -> None:
        """End the flight the caller leads."""
        flight = self._flights.pop(key, None)
        if flight is not None and not flight.done():
            flight.set_result(answer)
