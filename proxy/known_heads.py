"""Request heads that were parsed before: the same bytes, length aside, mean the same again.

Used by front.py. The heads of one kind of client differ only in Content-Length and in the key. A
head is parsed by aiohttp's strict parser when it is first met; what is kept are the bytes around
length and key, so that a known head is one look-up and can mean nothing but what was parsed.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.context import CallerWishes

LENGTH_MARKS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
KEY_MARKS = (b"\r\nAuthorization: Bearer ", b"\r\nauthorization: Bearer ")
KEY_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~+/="
ZERO = ord("0")
MOST_DIGITS = 8
MOST_HEADS = 1024
LONGEST_HEAD_BYTES = 4096
# What asks for more than a body of a known length answered on an open connection.
SPECIAL_HEADERS = ("Transfer-Encoding", "Content-Encoding", "Expect", "Upgrade")
Parse = Callable[[bytes], RawRequestMessage | None]


class KnownHead:
    """A parsed head, without the key it came with, and who answers its path. By identity.

    `wishes` is what the caller asks of the gateway in it, once somebody has read it.
    """

    __slots__ = ("answerer", "message", "wishes")

    def __init__(self, message: RawRequestMessage, answerer: Any) -> None:
        self.message = message
        self.answerer = answerer
        self.wishes: CallerWishes | None = None


class PlainHead(NamedTuple):
    """A plain head, its key ("" where it is none of `Authorization: Bearer`), its body's length."""

    known: KnownHead
    token: str
    length: int


class HeadBook:
    """The plain POST heads met so far; bounded.

    `parse` is aiohttp's parser: None for bytes that are no whole head, HttpProcessingError for
    what is no HTTP.
    """

    def __init__(self, answerers: Mapping[str, Any], parse: Parse) -> None:
        self._answerers = answerers
        self._parse = parse
        self._known: dict[bytes, KnownHead] = {}

    def find(self, head: bytes) -> PlainHead | None:
        """Return a plain head, given up to its last line break.

        None for everything else: other paths and methods, and all that is unusual or wrong.
        """
        start = _end_of_any(LENGTH_MARKS, head)
        if start < 0:
            return None
        end = head.find(b"\r\n", start)
        digits = head[start:end]
        # Only what no two readers could read differently: no sign, no space, no leading zero.
        if not digits.isdigit() or len(digits) > MOST_DIGITS or digits[0] == ZERO:
            return None
        around, token = head[:start] + head[end:], b""
        start = _end_of_any(KEY_MARKS, around)
        if start >= 0:
            end = around.find(b"\r\n", start)
            token = around[start:end]
            if not token or token.translate(None, KEY_BYTES):
                return None
            around = around[:start] + around[end:]
        known = self._known.get(around) or self._meet(around, head, has_token=bool(token))
        return PlainHead(known, token.decode(), int(digits)) if known is not None else None

    def _meet(self, around: bytes, head: bytes, *, has_token: bool) -> KnownHead | None:
        try:
            message = self._parse(head + b"\r\n")
        except HttpProcessingError:
            return None
        if message is None:
            return None
        answerer = self._answerers.get(message.path)
        if answerer is None or not _is_plain(message):
            return None
        if has_token:
            if len(message.headers.getall("Authorization")) != 1:
                return None
            message = _without_key(message)
        known = KnownHead(message, answerer)
        if len(around) <= LONGEST_HEAD_BYTES:
            if len(self._known) >= MOST_HEADS:
                self._known.clear()
            self._known[around] = known
        return known


def _end_of_any(marks: tuple[bytes, ...], head: bytes) -> int:
    """Where the value of a header begins, named in either case; -1 where it is not there."""
    for mark in marks:
        at = head.find(mark)
        if at >= 0:
            return at + len(mark)
    return -1


def _without_key(message: RawRequestMessage) -> RawRequestMessage:
    """The head as others share it: whose key it came with is nobody's business."""
    headers = CIMultiDict(message.headers)
    del headers["Authorization"]
    scrubbed: RawRequestMessage = message._replace(
        headers=CIMultiDictProxy(headers), raw_headers=()
    )
    return scrubbed


def _is_plain(message: RawRequestMessage) -> bool:
    return (
        message.method == "POST"
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
        and len(message.headers.getall("Content-Length")) == 1
        and not any(name in message.headers for name in SPECIAL_HEADERS)
    )
