"""Request heads that were parsed before: the same bytes, length aside, mean the same again.

Used by front.py. A client's heads differ from call to call only in their Content-Length. A head is
parsed by aiohttp's strict parser when it is first met; what is kept are the bytes around the
length, so that a known head is one look into a table and can mean nothing but what was parsed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage

LENGTH_MARKS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
MOST_DIGITS = 8
MOST_HEADS = 1024
LONGEST_HEAD_BYTES = 4096
# What asks for more than a body of a known length answered on an open connection.
SPECIAL_HEADERS = ("Transfer-Encoding", "Content-Encoding", "Expect", "Upgrade")
Parse = Callable[[bytes], RawRequestMessage | None]


class KnownHead:
    """A parsed head and who answers its path. Compared by identity."""

    __slots__ = ("answerer", "message")

    def __init__(self, message: RawRequestMessage, answerer: Any) -> None:
        self.message = message
        self.answerer = answerer


class HeadBook:
    """The plain POST heads met so far; bounded.

    `parse` is aiohttp's parser: None for bytes that are no whole head, HttpProcessingError for
    what is no HTTP.
    """

    def __init__(self, answerers: Mapping[str, Any], parse: Parse) -> None:
        self._answerers = answerers
        self._parse = parse
        self._known: dict[bytes, KnownHead] = {}

    def find(self, head: bytes) -> tuple[KnownHead, int] | None:
        """Return a plain head, given up to its last line break, and the body's length in bytes.

        None for everything else: other paths and methods, and all that is unusual or wrong.
        """
        start = head.find(LENGTH_MARKS[0]) + 18
        if start == 17:
            start = head.find(LENGTH_MARKS[1]) + 18
            if start == 17:
                return None
        end = head.find(b"\r\n", start)
        digits = head[start:end]
        # Only what no two readers could read differently: no sign, no space, no leading zero.
        if not digits.isdigit() or len(digits) > MOST_DIGITS or digits[0] == 48:
            return None
        around = head[:start] + head[end:]
        known = self._known.get(around) or self._meet(around, head)
        return (known, int(digits)) if known is not None else None

    def _meet(self, around: bytes, head: bytes) -> KnownHead | None:
        try:
            message = self._parse(head + b"\r\n")
        except HttpProcessingError:
            return None
        if message is None:
            return None
        answerer = self._answerers.get(message.path)
        if answerer is None or not _is_plain(message):
            return None
        known = KnownHead(message, answerer)
        if len(around) <= LONGEST_HEAD_BYTES:
            if len(self._known) >= MOST_HEADS:
                self._known.clear()
            self._known[around] = known
        return known


def _is_plain(message: RawRequestMessage) -> bool:
    return (
        message.method == "POST"
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
        and len(message.headers.getall("Content-Length")) == 1
        and not any(name in message.headers for name in SPECIAL_HEADERS)
    )
