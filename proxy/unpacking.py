"""Undoes the content encoding of an upstream's answer, a bounded piece at a time.

Used by wire_exchange.py. A few kilobytes can unpack to gigabytes: nothing is unpacked before its
reader asks, and no piece is larger than PIECE_BYTES.
"""

import zlib
from collections.abc import Iterator

from proxy.upstream_client import BrokenFault

PIECE_BYTES = 262_144
GZIP_BITS = 31
ZLIB_BITS = 15
RAW_BITS = -15
GZIP = frozenset({"gzip", "x-gzip"})
DEFLATE_METHOD = 8  # the low half of a zlib header's first byte


def unpacker_for(encoding: str) -> "Unpacker | None":
    """Return what undoes a Content-Encoding, None when there is nothing to undo.

    Raises BrokenFault for an encoding we cannot undo; we never ask for one.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name in GZIP or name == "deflate":
        return Unpacker(is_gzip=name in GZIP)
    raise BrokenFault("answer in a content encoding that was not asked for", may_have_run=True)


class Unpacker:
    """Unpacks one body, which may be several packed members in a row."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._member: zlib._Decompress | None = None  # None between members

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Unpack what follows; raises BrokenFault when it is no such data."""
        has_more = bool(data)
        while has_more:
            if self._member is None:
                self._member = zlib.decompressobj(self._window_bits(data))
            member = self._member
            try:
                piece = member.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise BrokenFault("answer cut: bad compressed data", may_have_run=True) from error
            if member.eof:
                data, self._member = member.unused_data, None
                has_more = bool(data)
            else:
                # A full piece may leave output behind even when all input is taken.
                data = member.unconsumed_tail
                has_more = bool(data) or len(piece) == PIECE_BYTES
            if piece:
                yield piece

    def finish(self) -> None:
        """Say that the body has ended; raises BrokenFault in the middle of a member."""
        if self._member is not None:
            raise BrokenFault("answer cut: compressed data ended early", may_have_run=True)

    def _window_bits(self, data: bytes) -> int:
        if self._is_gzip:
            return GZIP_BITS
        # Servers disagree whether "deflate" has zlib's header.
        return ZLIB_BITS if data[0] & 0xF == DEFLATE_METHOD else RAW_BITS
