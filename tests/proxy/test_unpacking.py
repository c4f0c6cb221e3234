"""Unpacking of packed answers: whole, cut anywhere, in any pieces, and bombs."""

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.unpacking import PIECE_BYTES, unpacker_for
from proxy.upstream_client import BrokenFault

BODY = b"A body that packs. " * 40


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    " GZip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]),
    "deflate": zlib.compress(BODY),
    "Deflate": raw_deflate(BODY),
}


def unpacked(encoding: str, *pieces: bytes) -> bytes:
    unpacker = unpacker_for(encoding)
    assert unpacker is not None
    body = b"".join(part for piece in pieces for part in unpacker.pieces(piece))
    unpacker.finish()
    return body


@pytest.mark.parametrize("encoding", PACKED)
def test_every_split_unpacks_to_the_same_body(encoding: str) -> None:
    packed = PACKED[encoding]
    for at in range(len(packed) + 1):
        assert unpacked(encoding, packed[:at], packed[at:]) == BODY
    assert unpacked(encoding, *(packed[at : at + 1] for at in range(len(packed)))) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "Deflate"])
def test_a_body_cut_at_any_byte_is_a_fault(encoding: str) -> None:
    for at in range(1, len(PACKED[encoding])):
        with pytest.raises(BrokenFault):
            unpacked(encoding, PACKED[encoding][:at])


@pytest.mark.parametrize("encoding", PACKED)
def test_an_empty_body_is_empty(encoding: str) -> None:
    assert unpacked(encoding) == unpacked(encoding, b"") == b""


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_rubbish_is_a_fault_or_a_body_and_nothing_else(data: bytes, encoding: str) -> None:
    with suppress(BrokenFault):
        unpacked(encoding, data)


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_what_is_not_packed_needs_no_unpacking(encoding: str) -> None:
    assert unpacker_for(encoding) is None


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip,br", "x"])
def test_what_was_not_asked_for_is_a_fault(encoding: str) -> None:
    with pytest.raises(BrokenFault, match="not asked for"):
        unpacker_for(encoding)


def test_a_bomb_comes_out_in_small_pieces() -> None:
    unpacker = unpacker_for("gzip")
    assert unpacker is not None
    sizes = [len(piece) for piece in unpacker.pieces(gzip.compress(bytes(20_000_000)))]
    unpacker.finish()
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= PIECE_BYTES
