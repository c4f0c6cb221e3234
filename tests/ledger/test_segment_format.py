"""Frames: what is written can be read, and what is too large or empty is refused."""

import pytest

from ledger.segment_format import HEADER_BYTES, MAX_PAYLOAD_BYTES, decode_header, encode_frame


@pytest.mark.parametrize("size", [1, 255, 256, 65_536, MAX_PAYLOAD_BYTES])
def test_a_header_says_its_length(size: int) -> None:
    header = decode_header(encode_frame(b"x" * size), 0)
    assert header is not None
    assert header[0] == size


@pytest.mark.parametrize("size", [0, MAX_PAYLOAD_BYTES + 1])
def test_lengths_that_have_no_frame(size: int) -> None:
    with pytest.raises(ValueError, match="a record holds"):
        encode_frame(b"x" * size)


def test_every_flipped_bit_of_a_length_is_found() -> None:
    frame = encode_frame(b"x" * 1000)
    for bit in range(32):
        word = int.from_bytes(frame[:4], "little") ^ (1 << bit)
        assert decode_header(word.to_bytes(4, "little") + frame[4:], 0) is None


def test_zeros_are_no_header() -> None:
    assert decode_header(bytes(HEADER_BYTES), 0) is None
