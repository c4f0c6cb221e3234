"""The head of an upstream's answer: read at once where it is plain, and kept as it came.

Called by wire_exchange.py. A plain head is one about which nobody can disagree; every other one is
the parser's to judge. Names and values are looked for only when somebody asks.
"""

import re
from collections.abc import ItemsView, Iterator, Mapping
from typing import Any

LARGEST_PLAIN_BYTES = 16_384
LONGEST_LENGTH_DIGITS = 12
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# Statuses with a body, whatever the request; a reason; lines that each begin with a name.
PLAIN = re.compile(
    rb"HTTP/1\.1 (200|[45]\d\d) [\x20-\x7e]*+(\r\n(?:" + TOKEN + rb":[^\r]*+\r\n)*+)"
)
FIELD_BYTES = bytes([*b"\t", *range(0x20, 0x7F), *range(0x80, 0x100)])
CHUNKED = -1
MOST_NEEDLES = 256
_needles: dict[str, bytes] = {}


class WireHeaders(Mapping[str, str]):
    """Headers over their raw lines, in the order they came; a name is met in any case.

    `raw` holds a line break before each line and one after the last. Looking one up gives the
    first of its name. Bytes that are no UTF-8 become surrogates.
    """

    __slots__ = ("_low", "raw")

    def __init__(self, raw: bytes, low: bytes | None = None) -> None:
        self.raw = raw
        self._low = raw.lower() if low is None else low

    def _value_at(self, at: int) -> str:
        return _text(self.raw[at : self.raw.find(b"\r", at)])

    def get(self, name: str, /, default: Any = None) -> Any:
        """Return the first value, else the default."""
        key = _needles.get(name) or _needle(name)
        at = self._low.find(key)
        return default if at < 0 else self._value_at(at + len(key))

    def getall(self, name: str) -> list[str]:
        """Return every value of a name."""
        key = _needle(name)
        found, at = [], self._low.find(key)
        while at >= 0:
            found.append(self._value_at(at + len(key)))
            at = self._low.find(key, at + len(key))
        return found

    def __getitem__(self, name: str) -> str:
        key = _needle(name)
        at = self._low.find(key)
        if at < 0:
            raise KeyError(name)
        return self._value_at(at + len(key))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (_needles.get(name) or _needle(name)) in self._low

    def items(self) -> ItemsView[str, str]:
        """All pairs; a name sent twice is there twice."""
        return _Pairs(self)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Iterate over the lines."""
        for line in self.raw.split(b"\r\n")[1:-1]:
            name, _, value = line.partition(b":")
            yield name.decode("ascii", "replace"), _text(value)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs())

    def __len__(self) -> int:
        return self.raw.count(b"\r\n") - 1


class _Pairs(ItemsView[str, str]):
    _mapping: WireHeaders

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._mapping.pairs()


NO_HEADERS = WireHeaders(b"\r\n")


# Status, headers, the bytes the head took, and those of the body: CHUNKED when it has chunks.
PlainHead = tuple[int, WireHeaders, int, int]


def read_plain_head(data: bytes) -> PlainHead | None:
    """Read the head of an answer that keeps its connection alive; None when it is not plain."""
    last = data.find(b"\r\n\r\n", 0, LARGEST_PLAIN_BYTES) + 2
    found = PLAIN.fullmatch(data, 0, last) if last > 2 else None
    if found is None:
        return None
    status, raw = found.groups()
    low = raw.lower()
    at = low.find(b"\r\ncontent-length:")
    if at < 0:
        length = _length_of_chunks(low)
    else:
        digits = _only(low, b"\r\ncontent-length:", at)
        is_number = digits.isdigit() and len(digits) <= LONGEST_LENGTH_DIGITS
        length = int(digits) if is_number and b"\r\ntransfer-encoding:" not in low else None
    breaks = raw.translate(None, FIELD_BYTES)
    is_clean = breaks.count(b"\r\n") * 2 == len(breaks)  # no control character, no lone line feed
    if length is None or not is_clean or not _is_kept_alive(low):
        return None
    return int(status), WireHeaders(raw, low), last + 2, length


def _is_kept_alive(low: bytes) -> bool:
    """Whether the connection stays as it is after the answer, beyond doubt."""
    if b"upgrade:" in low:
        return False
    at = low.find(b"connection:")  # a proxy's, too
    if at < 0:
        return True
    key = b"\r\nconnection:"
    is_first = low.startswith(key, at - 2) and low.find(b"connection:", at + 1) < 0
    return is_first and _only(low, key, at - 2) == b"keep-alive"


def _length_of_chunks(low: bytes) -> int | None:
    key = b"\r\ntransfer-encoding:"
    at = low.find(key)
    return CHUNKED if at >= 0 and _only(low, key, at) == b"chunked" else None


def _only(low: bytes, key: bytes, at: int) -> bytes:
    """Return the value of the line that begins with `key` at `at`; nothing when it is not alone."""
    start = at + len(key)
    return b"" if low.find(key, start) >= 0 else low[start : low.find(b"\r", start)].strip(b" ")


def _needle(name: str) -> bytes:
    """Return what a line of this name begins with; made once for each name we ask for."""
    key = _needles.get(name)
    if key is None:
        key = b"\r\n" + name.lower().encode("utf-8", "replace") + b":"
        if len(_needles) < MOST_NEEDLES:
            _needles[name] = key
    return key


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape").strip(" \t")
