"""The bytes of a segment: u32 length word | u32 crc32 of the payload | payload, little-endian.

Used by ledger.segment_log (writing) and ledger.segment_reader. The length word carries 24 bits of
length and 8 bits that check them: a flipped length is then damage, never taken for a torn tail.
"""

from struct import Struct
from zlib import crc32

HEADER_BYTES = 8
MAX_PAYLOAD_BYTES = (1 << 24) - 1
_HEADER = Struct("<II")
_pack = _HEADER.pack
_CHECK_SEED = 0xA5  # so that eight zero bytes, what a power cut leaves behind, are no header


def encode_frame(payload: bytes) -> bytes:
    """One frame. Raises ValueError for an empty payload or one of 16 MiB and more."""
    length = len(payload)
    if not 0 < length <= MAX_PAYLOAD_BYTES:
        message = f"a record holds 1 to {MAX_PAYLOAD_BYTES} bytes, not {length}"
        raise ValueError(message)
    # _length_word, spelt out: every event passes here.
    check = _CHECK_SEED ^ (length & 0xFF) ^ (length >> 8 & 0xFF) ^ (length >> 16)
    return _pack(length | check << 24, crc32(payload)) + payload


def decode_header(data: bytes, position: int) -> tuple[int, int] | None:
    """Payload length and crc32 of the header at `position`; None when its check fails."""
    word, checksum = _HEADER.unpack_from(data, position)
    length = word & MAX_PAYLOAD_BYTES
    if length == 0 or word != _length_word(length):
        return None
    return length, checksum


def _length_word(length: int) -> int:
    check = _CHECK_SEED ^ (length & 0xFF) ^ (length >> 8 & 0xFF) ^ (length >> 16)
    return length | check << 24
