"""One exchange on its own: whatever the splits, and what it does to its connection."""

import asyncio
import zlib
from dataclasses import dataclass, field

import pytest

from proxy.upstream_client import BrokenFault, UnreachableFault
from proxy.wire_exchange import LARGEST_HEAD_BYTES, MOST_BUFFERED_BYTES, WireReply

LIMIT = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"a": 1}\n' * 3
PACKED = zlib.compress(BODY)


def sized(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


SMALL = {
    "length": sized(BODY, OK + b"X-Request-Id: 1\r\n"),
    "chunked": OK + CHUNKED + b"1\r\n%b\r\n1a\r\n%b\r\n0\r\n\r\n" % (BODY[:1], BODY[1:]),
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + sized(BODY),
    "deflate": sized(PACKED, OK + b"Content-Encoding: deflate\r\n"),
    "trailers": OK + CHUNKED + b"1b;x=y\r\n%b\r\n0\r\nX-Trailer: t\r\n\r\n" % BODY,
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@dataclass
class Tape:
    """A lane that notes what a reply does to it."""

    done: list[str] = field(default_factory=list)

    def abort(self) -> None:
        self.done.append("abort")

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")


def reply_of(*pieces: bytes) -> tuple[WireReply, Tape]:
    tape = Tape()
    reply = WireReply(tape)
    for piece in pieces:
        reply.feed(piece)
    return reply, tape


@pytest.mark.parametrize("name", SMALL)
async def test_every_split_reads_the_same_and_leaves_the_connection_reusable(name: str) -> None:
    wire = SMALL[name]
    expected = b"" if name == "no body" else BODY
    for at in range(len(wire)):
        reply, tape = reply_of(wire[:at], wire[at:])
        assert await reply.read(LIMIT) == expected
        assert reply.is_over
        assert reply.is_reusable
        reply.close()
        assert tape.done == []


@pytest.mark.parametrize(
    "wire",
    [
        SMALL["length"][:-1],
        OK + b"\r\n" + BODY,
        sized(b"ok") + b"junk",
        sized(b"ok") + b"H",
        sized(b"ok") + sized(b"no"),
        sized(b"ok", OK + b"Connection: close\r\n"),
        sized(b"ok", b"HTTP/1.0 200 OK\r\n"),
        OK + CHUNKED + b"zz\r\n",
        OK + CHUNKED + b"1\r\na\r\n",
    ],
)
def test_no_other_connection_is_reusable(wire: bytes) -> None:
    reply, _ = reply_of(wire)
    assert not reply.is_reusable


async def test_a_whole_reply_never_touches_its_connection_again() -> None:
    """By then the connection may carry another call's exchange."""
    reply, tape = reply_of(sized(b"x" * 10))
    reply.feed(b"more")
    reply.lose_connection(None)
    assert await reply.read(LIMIT) == b"x" * 10
    reply.close()
    reply.close()
    assert tape.done == []


async def test_a_broken_reply_is_not_made_whole_by_the_end_of_its_connection() -> None:
    reply, _ = reply_of(OK + b"\r\nabc")
    reply.close()
    reply.lose_connection(None)
    with pytest.raises(BrokenFault, match="closed before its end"):
        await reply.read(LIMIT)


async def test_without_an_error_the_end_of_the_connection_ends_a_body_without_length() -> None:
    whole, _ = reply_of(OK + b"\r\nabc")
    whole.lose_connection(None)
    assert await whole.read(LIMIT) == b"abc"
    cut, _ = reply_of(OK + b"\r\nabc")
    cut.lose_connection(ConnectionResetError())
    with pytest.raises(BrokenFault):
        await cut.read(LIMIT)
    early, _ = reply_of(OK[:-2])
    early.lose_connection(None)
    with pytest.raises(UnreachableFault):
        await early.change()


async def test_what_arrived_before_a_cut_is_given_first() -> None:
    reply, _ = reply_of(OK + b"Content-Length: 9\r\n\r\nabc")
    reply.lose_connection(None)
    chunks = reply.chunks()
    assert await anext(chunks) == b"abc"
    with pytest.raises(BrokenFault):
        await anext(chunks)


async def test_a_body_nobody_reads_holds_the_connection_back_until_it_is_read() -> None:
    reply, tape = reply_of(OK + b"\r\n")
    piece = bytes(1 << 16)
    while "pause" not in tape.done:
        reply.feed(piece)
    assert MOST_BUFFERED_BYTES < reply.buffered_bytes <= MOST_BUFFERED_BYTES + len(piece)
    assert len(await anext(reply.chunks())) > MOST_BUFFERED_BYTES
    assert tape.done == ["pause", "resume"]


async def test_a_connection_held_back_is_let_go_before_it_is_given_back() -> None:
    wire = sized(bytes(MOST_BUFFERED_BYTES * 2))
    reply, tape = reply_of(wire[:-1], wire[-1:])
    assert (reply.is_reusable, tape.done) == (True, ["pause", "resume"])
    assert len(await reply.read(LIMIT)) == MOST_BUFFERED_BYTES * 2


async def test_a_whole_answer_may_be_larger_than_the_bound_of_a_stream() -> None:
    reply, tape = reply_of(OK + b"Content-Length: 600000\r\n\r\n")
    async with asyncio.TaskGroup() as group:
        body = group.create_task(reply.read(600_000))
        await asyncio.sleep(0)
        for _ in range(6):
            reply.feed(bytes(100_000))
    assert (len(body.result()), tape.done) == (600_000, [])


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40),
        (b"HTTP/1.1 200 ", b"r" * 1000),
        (OK + b"A: ", b"a" * 1000),
        (OK, b"n" * 1000),
        (OK, b"A: b\r\n" * 200),
        (OK + CHUNKED + b"1\r\na\r\n0\r\n", b"A: b\r\n" * 200),
        (OK + CHUNKED + b"1\r\na\r\n0\r\nA: ", b"a" * 1000),
        (OK + CHUNKED + b"1;", b"a" * 1000),
    ],
)
def test_what_is_no_body_is_bounded(head: bytes, piece: bytes) -> None:
    reply, _ = reply_of(head)
    for _ in range(LARGEST_HEAD_BYTES // len(piece) + 3):
        reply.feed(piece)
    assert reply.is_over
    assert not reply.is_reusable
