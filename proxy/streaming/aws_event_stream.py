"""AWS's binary event stream (application/vnd.amazon.eventstream): cut into messages, and written.

Read by providers/bedrock_stream.py, written by the mock. A message is a prelude (total length,
length of the headers, CRC32 of both), headers, a payload, and a CRC32 of everything before it.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError

PRELUDE_BYTES = 12
CRC_BYTES = 4
LARGEST_HEADERS_BYTES = 131_072  # the format's own limit
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_STRING = 7
# Value type of a header -> its bytes; types 6 and 7 carry their length in front.
_FIXED_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_COUNTED = (6, _STRING)


class CorruptStreamError(ValueError):
    """The bytes are no event stream: a checksum or a length is wrong. Nothing after is readable."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; of its headers only the texts, which is all that Bedrock sends."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamDecoder:
    """Collects chunks, cut anywhere, and hands out whole messages."""

    __slots__ = ("_held", "_wanted_bytes")

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted_bytes = 0  # of the message at the front; 0 until its prelude was checked

    def feed(self, chunk: bytes) -> list[Message]:
        """Add a chunk; return the messages that are whole now.

        CorruptStreamError when a length or checksum is wrong, OversizedEventError when a message
        announces more bytes than any event may have: both before those bytes are waited for.
        """
        self._held += chunk
        messages: list[Message] = []
        start = 0
        while (end := self._end_of_message(start)) and end <= len(self._held):
            messages.append(_read_message(bytes(self._held[start:end])))
            self._wanted_bytes = 0
            start = end
        del self._held[:start]
        return messages

    def _end_of_message(self, start: int) -> int:
        """Return where the message at `start` will end; 0 while its prelude is not there."""
        if not self._wanted_bytes:
            if len(self._held) - start < PRELUDE_BYTES:
                return 0
            self._wanted_bytes = _read_prelude(bytes(self._held[start : start + PRELUDE_BYTES]))
        return start + self._wanted_bytes


def _read_prelude(prelude: bytes) -> int:
    total, headers, crc = _PRELUDE.unpack(prelude)
    if zlib.crc32(prelude[:8]) != crc:
        raise CorruptStreamError("the checksum of a message's prelude is wrong")
    if headers > LARGEST_HEADERS_BYTES or headers > total - PRELUDE_BYTES - CRC_BYTES:
        raise CorruptStreamError("the headers of a message do not fit into it")
    if total > LARGEST_EVENT_BYTES:
        raise OversizedEventError(f"message of {total} bytes, more than {LARGEST_EVENT_BYTES}")
    return int(total)


def _read_message(data: bytes) -> Message:
    (crc,) = _CRC.unpack(data[-CRC_BYTES:])
    if zlib.crc32(data[:-CRC_BYTES]) != crc:
        raise CorruptStreamError("the checksum of a message is wrong")
    headers_end = PRELUDE_BYTES + _PRELUDE.unpack(data[:PRELUDE_BYTES])[1]
    try:
        headers = _read_headers(data[PRELUDE_BYTES:headers_end])
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise CorruptStreamError("the headers of a message are malformed") from error
    return Message(headers, data[headers_end:-CRC_BYTES])


def _read_headers(data: bytes) -> dict[str, str]:
    """Read the headers; what is short raises IndexError or struct.error."""
    headers: dict[str, str] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name, kind = data[at + 1 : name_end].decode(), data[name_end]
        at = name_end + 1
        if kind in _COUNTED:
            (size,) = struct.unpack_from(">H", data, at)
            at += 2
        else:
            size = _FIXED_BYTES[kind]
        if at + size > len(data):
            raise IndexError(at)
        if kind == _STRING:
            headers[name] = data[at : at + size].decode()
        at += size
    return headers


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Write one message with text headers of at most 255 bytes name, 65,535 bytes value."""
    fields = b"".join(_encode_header(name, value) for name, value in headers.items())
    lengths = struct.pack(
        ">II", PRELUDE_BYTES + len(fields) + len(payload) + CRC_BYTES, len(fields)
    )
    data = lengths + _CRC.pack(zlib.crc32(lengths)) + fields + payload
    return data + _CRC.pack(zlib.crc32(data))


def _encode_header(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(), value.encode()
    return (
        bytes([len(raw_name)])
        + raw_name
        + bytes([_STRING])
        + struct.pack(">H", len(raw_value))
        + raw_value
    )
