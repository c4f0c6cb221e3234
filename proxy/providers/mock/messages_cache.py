"""Simulates Anthropic's prompt cache; called by messages.py.

A request marks where a prefix ends (cache_control). The longest prefix that was written before is
read at the cached price; what follows up to the last mark is written, at the price of its mark's
lifetime. Prefixes under 1,024 tokens are not cached.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from config.clock import Clock
from proxy.providers.mock.text import digest_of

LEAST_CACHED_TOKENS = 1024
LIFETIMES_S = {"5m": 300.0, "1h": 3600.0}
MAX_PREFIXES = 200_000


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of a block: tokens and digest of all up to it; `ttl` where it is marked, else ""."""

    tokens: int
    digest: bytes
    ttl: str


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Tokens of one prompt that were read from the cache, and written to it by lifetime."""

    read_tokens: int = 0
    write_5m_tokens: int = 0
    write_1h_tokens: int = 0

    @property
    def write_tokens(self) -> int:
        return self.write_5m_tokens + self.write_1h_tokens


class MarkedPrefixes:
    """Prefixes written lately; bounded, the least recently used leave first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expires_at: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def use(self, owner: bytes, ends: Sequence[Mark]) -> CacheUse:
        """Read and write the cache for a prompt whose blocks end at `ends`."""
        last = max((at for at, end in enumerate(ends) if end.ttl), default=-1)
        reach = [end for end in ends[: last + 1] if end.tokens >= LEAST_CACHED_TOKENS]
        now = self._clock.monotonic()
        read_tokens = max((end.tokens for end in reach if self._renew(owner, end, now)), default=0)
        written = {"5m": 0, "1h": 0}
        before = read_tokens
        for end in reach:
            if end.ttl and end.tokens > before:
                written[end.ttl] += end.tokens - before
                before = end.tokens
                self._write(owner, end, now)
        return CacheUse(read_tokens, written["5m"], written["1h"])

    def _renew(self, owner: bytes, end: Mark, now: float) -> bool:
        """Say whether the prefix is cached; reading it starts its lifetime anew."""
        key = digest_of(owner, end.digest)
        expires_at, lifetime_s = self._expires_at.get(key, (-1.0, 0.0))
        if expires_at <= now:
            return False
        self._expires_at[key] = (now + lifetime_s, lifetime_s)
        self._expires_at.move_to_end(key)
        return True

    def _write(self, owner: bytes, end: Mark, now: float) -> None:
        lifetime_s = LIFETIMES_S[end.ttl]
        self._expires_at[digest_of(owner, end.digest)] = (now + lifetime_s, lifetime_s)
        while len(self._expires_at) > MAX_PREFIXES:
            self._expires_at.popitem(last=False)
