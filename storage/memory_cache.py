"""A cache in this process's memory: bounded by bytes, least recently used out first, with TTLs.

Used by proxy.cache. For one event loop; values are handed out as they were put in, so they must
not be changed afterwards.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from config.clock import Clock

_ENTRY_OVERHEAD_BYTES = 400  # key, entry and table slot: many tiny entries must not go unnoticed


@dataclass(slots=True)
class _Entry:
    value: Any
    size_bytes: int
    expires_at: float


class ByteBoundedCache:
    """Keeps at most `max_bytes`, counting each entry's stated size and a fixed overhead."""

    def __init__(self, max_bytes: int, clock: Clock) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes

    @property
    def entries(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Any | None:
        """The value, now the most recently used; None when absent or past its TTL."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._clock.monotonic():
            self.delete(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def set(self, key: Hashable, value: Any, size_bytes: int, ttl_s: float) -> None:
        """Keep a value and drop the least recently used ones; one larger than all is not kept."""
        self.delete(key)
        size = size_bytes + _ENTRY_OVERHEAD_BYTES
        if size > self._max_bytes or ttl_s <= 0:
            return
        while self._bytes + size > self._max_bytes:
            self.delete(next(iter(self._entries)))
        self._entries[key] = _Entry(value, size, self._clock.monotonic() + ttl_s)
        self._bytes += size

    def delete(self, key: Hashable) -> bool:
        """Whether the key was there."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self._bytes -= entry.size_bytes
        return True

    def purge(self, prefix: str | None = None) -> int:
        """Drop the text keys that begin with `prefix`, or all; returns how many."""
        doomed = [
            key
            for key in self._entries
            if prefix is None or (isinstance(key, str) and key.startswith(prefix))
        ]
        return sum(self.delete(key) for key in doomed)
