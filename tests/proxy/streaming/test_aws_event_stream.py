"""AWS's event stream: the published example, botocore as a second reader, hostile bytes."""

import struct
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from proxy.streaming.aws_event_stream import (
    CorruptStreamError,
    EventStreamDecoder,
    Message,
    encode_message,
)
from proxy.streaming.framing import LARGEST_EVENT_BYTES, OversizedEventError

# Origin: the encoded message `payload_one_str_header` of AWS's event stream test vectors.
PUBLISHED = bytes.fromhex(
    "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
    "7b27666f6f273a27626172277d8d9c08b1"
)
# Origin: `empty_message` of the same vectors.
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")
TWO = encode_message({":event-type": "a", ":message-type": "event"}, b'{"x":1}')


def test_the_published_messages_are_read() -> None:
    messages = EventStreamDecoder().feed(PUBLISHED + EMPTY)
    assert messages == [
        Message({"content-type": "application/json"}, b"{'foo':'bar'}"),
        Message({}, b""),
    ]


def test_writing_gives_the_published_bytes() -> None:
    assert encode_message({"content-type": "application/json"}, b"{'foo':'bar'}") == PUBLISHED
    assert encode_message({}, b"") == EMPTY


@given(st.lists(st.integers(1, 40), max_size=40))
def test_any_cut_gives_the_same_messages(sizes: list[int]) -> None:
    data = PUBLISHED + TWO + EMPTY + PUBLISHED
    decoder, messages, start = EventStreamDecoder(), [], 0
    for size in [*sizes, len(data)]:
        messages += decoder.feed(data[start : start + size])
        start += size
    assert messages == EventStreamDecoder().feed(data)
    assert len(messages) == 4


@given(
    st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=50), max_size=5),
    st.binary(max_size=300),
)
def test_botocore_reads_what_is_written(headers: dict[str, str], payload: bytes) -> None:
    theirs = EventStreamBuffer()
    data = encode_message(headers, payload)
    theirs.add_data(data)
    (message,) = list(theirs)
    assert dict(message.headers) == headers
    assert message.payload == payload
    assert EventStreamDecoder().feed(data) == [Message(headers, payload)]


def test_headers_of_every_other_type_are_read_over() -> None:
    fields = b"".join([
        b"\x01t\x00", b"\x01f\x01", b"\x01b\x02\x07", b"\x01s\x03\x00\x01", b"\x01i\x04\0\0\0\1",
        b"\x01l\x05" + bytes(8), b"\x01y\x06\x00\x02hi", b"\x01z\x08" + bytes(8),
        b"\x01u\x09" + bytes(16), b"\x01w\x07\x00\x02ok",
    ])  # fmt: skip
    assert EventStreamDecoder().feed(sealed(fields, b"p")) == [Message({"w": "ok"}, b"p")]


def sealed(fields: bytes, payload: bytes, total: int | None = None) -> bytes:
    size = 16 + len(fields) + len(payload) if total is None else total
    lengths = struct.pack(">II", size, len(fields))
    data = lengths + struct.pack(">I", zlib.crc32(lengths)) + fields + payload
    return data + struct.pack(">I", zlib.crc32(data))


@pytest.mark.parametrize("at", range(len(TWO)))
def test_every_flipped_bit_is_noticed(at: int) -> None:
    broken = bytearray(TWO)
    broken[at] ^= 0x10
    with pytest.raises(CorruptStreamError):
        EventStreamDecoder().feed(bytes(broken))


@pytest.mark.parametrize(
    "fields",
    [
        b"\x05ab",  # a name longer than the headers
        b"\x01a\x07\x00\x09hi",  # a value longer than the headers
        b"\x01a\x07\x00",  # no room for the length
        b"\x01a\x0a",  # a type there is not
        b"\x01\xff\x00",  # a name that is no text
    ],
)
def test_malformed_headers_are_refused(fields: bytes) -> None:
    with pytest.raises(CorruptStreamError, match="malformed"):
        EventStreamDecoder().feed(sealed(fields, b""))


@pytest.mark.parametrize("total", [0, 11, 15])
def test_a_message_shorter_than_itself_is_refused(total: int) -> None:
    with pytest.raises(CorruptStreamError):
        EventStreamDecoder().feed(sealed(b"", b"", total))


def test_huge_lengths_are_refused_before_their_bytes_come() -> None:
    with pytest.raises(OversizedEventError):
        EventStreamDecoder().feed(sealed(b"", b"", LARGEST_EVENT_BYTES + 1)[:12])
    lengths = struct.pack(">II", 2**24, 2**23)
    with pytest.raises(CorruptStreamError):
        EventStreamDecoder().feed(lengths + struct.pack(">I", zlib.crc32(lengths)))
