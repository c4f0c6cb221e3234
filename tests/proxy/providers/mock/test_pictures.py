"""The pictures are real PNG files."""

import struct
import zlib

from proxy.providers.mock.pictures import SIDE_PIXELS, draw_png


def test_chunks_have_their_checksums() -> None:
    picture = draw_png(b"seed")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    at, names, pixels = 8, [], b""
    while at < len(picture):
        (size,) = struct.unpack_from(">I", picture, at)
        name, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack_from(">I", picture, at + 8 + size)
        assert checksum == zlib.crc32(name + data)
        names.append(name)
        pixels += zlib.decompress(data) if name == b"IDAT" else b""
        at += 12 + size
    assert names == [b"IHDR", b"IDAT", b"IEND"]
    assert len(pixels) == SIDE_PIXELS * (1 + 3 * SIDE_PIXELS)


def test_seed_decides() -> None:
    assert draw_png(b"one") == draw_png(b"one") != draw_png(b"two")
