"""Draws small PNG pictures out of a digest: real files of one colour. Called by images.py."""

import struct
import zlib

from proxy.providers.mock.text import digest_of

SIDE_PIXELS = 8


def draw_png(seed: bytes) -> bytes:
    """Draw a picture of 8 by 8 pixels; the same seed gives the same bytes."""
    colour = digest_of(seed)[:3]
    rows = (b"\x00" + colour * SIDE_PIXELS) * SIDE_PIXELS
    header = struct.pack(">IIBBBBB", SIDE_PIXELS, SIDE_PIXELS, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
