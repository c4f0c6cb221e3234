"""HMAC-SHA256 with the key's two blocks hashed once (RFC 2104): a third of the library's time.

For keys that sign many short messages, on the hot path: API keys, sessions, arms, request keys.
"""

import hashlib
from functools import lru_cache

MOST_KEYS = 4096
BLOCK_BYTES = 64
INNER = bytes(byte ^ 0x36 for byte in range(256))
OUTER = bytes(byte ^ 0x5C for byte in range(256))


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """32 bytes that only the holder of the key can make."""
    return _mac_of(key).digest(message)


class Mac:
    """Signs messages with one key; the same bytes as `hmac.digest(key, message, "sha256")`."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > BLOCK_BYTES:
            key = hashlib.sha256(key).digest()
        block = key.ljust(BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(INNER))
        self._outer = hashlib.sha256(block.translate(OUTER))

    def digest(self, message: bytes) -> bytes:
        """32 bytes that only the holder of the key can make."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


@lru_cache(maxsize=MOST_KEYS)
def _mac_of(key: bytes) -> Mac:
    return Mac(key)
