"""Digests of a prompt's prefixes, so that later analysis sees shared prefixes without prompts.

Called by optimizer.caching, which also builds the cache key on the digest of the whole prompt.
"""

import hashlib
from collections.abc import Iterator

BLOCK_BYTES = 2048
EVEN_BLOCKS_BYTES = 65_536
PREFIX_LABEL = b"prefix\x00"


def block_ends(size_bytes: int) -> Iterator[int]:
    """Where blocks end: every 2 KiB up to 64 KiB, from there on at each doubling."""
    yield from range(BLOCK_BYTES, min(size_bytes, EVEN_BLOCKS_BYTES) + 1, BLOCK_BYTES)
    end = EVEN_BLOCKS_BYTES * 2
    while end <= size_bytes:
        yield end
        end *= 2


def prefix_blocks(prompt: bytes, key: bytes) -> tuple[list[str], str]:
    """Digests of the prefixes that end at each block (16 hex each) and of the whole (32 hex).

    SHA-256 with a secret prefix; the truncation rules out extending a known digest. One pass.
    """
    if len(prompt) < BLOCK_BYTES:
        return [], hashlib.sha256(key + PREFIX_LABEL + prompt).hexdigest()[:32]
    view = memoryview(prompt)
    state = hashlib.sha256(key + PREFIX_LABEL)
    blocks, start = [], 0
    for end in block_ends(len(prompt)):
        state.update(view[start:end])
        # hexdigest() finishes a copy of the state, not the state: the pass goes on after it.
        blocks.append(state.hexdigest()[:16])
        start = end
    state.update(view[start:])
    return blocks, state.hexdigest()[:32]
