"""Prefix digests: where blocks end, that they are cumulative, and that they need the key."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from optimizer.prefix import block_ends, prefix_blocks

KEY = b"k" * 32
sizes = st.integers(0, 600_000)


def test_blocks_end_at_2_kib_up_to_64_kib_then_at_doublings() -> None:
    ends = list(block_ends(600_000))
    assert ends[:3] == [2048, 4096, 6144]
    assert ends[31:] == [65_536, 131_072, 262_144, 524_288]
    assert list(block_ends(2047)) == []
    assert list(block_ends(2048)) == [2048]
    assert list(block_ends(65_535))[-1] == 63_488


@given(sizes)
def test_there_is_one_digest_per_block_and_blocks_lie_within(size: int) -> None:
    ends = list(block_ends(size))
    assert ends == sorted(set(ends))
    assert all(end <= size for end in ends)
    blocks, digest = prefix_blocks(b"p" * size, KEY)
    assert len(blocks) == len(ends)
    assert {len(block) for block in blocks} <= {16}
    assert len(digest) == 32


@given(sizes, st.integers(0, 599_999))
def test_blocks_before_a_change_stay_and_all_after_it_change(size: int, place: int) -> None:
    prompt = bytes(size)
    changed = bytearray(prompt)
    if place >= size:
        return
    changed[place] ^= 1
    blocks, digest = prefix_blocks(prompt, KEY)
    others, other_digest = prefix_blocks(bytes(changed), KEY)
    assert digest != other_digest
    for end, block, other in zip(block_ends(size), blocks, others, strict=True):
        assert (block == other) == (end <= place)


def test_the_digest_is_the_documented_hash_of_key_and_prompt() -> None:
    prompt = b"p" * 5000
    blocks, digest = prefix_blocks(prompt, KEY)
    whole = hashlib.sha256(KEY + b"prefix\x00" + prompt).hexdigest()
    assert digest == whole[:32]
    assert blocks[1] == hashlib.sha256(KEY + b"prefix\x00" + prompt[:4096]).hexdigest()[:16]


def test_tenants_cannot_compare_prompts() -> None:
    blocks, digest = prefix_blocks(b"p" * 4096, KEY)
    others, other_digest = prefix_blocks(b"p" * 4096, b"o" * 32)
    assert not set(blocks) & set(others)
    assert digest != other_digest
