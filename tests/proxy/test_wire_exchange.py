"""One exchange: the same wire bytes for our client and for aiohttp's, and the reply on its own."""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from proxy.upstream_client import (
    AiohttpClient,
    BrokenFault,
    UnreachableFault,
    UpstreamCall,
    UpstreamClient,
    UpstreamFault,
)
from proxy.wire_client import WireClient
from proxy.wire_exchange import LARGEST_HEAD_BYTES, MOST_BUFFERED_BYTES, WireReply
from tests.fault_replies import End, Framing, Reply
from tests.fault_upstream import FaultUpstream

LIMIT = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
Seen = tuple[Any, ...]  # status, headers, body; or the name of a fault


def sized(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def in_chunks(body: bytes, size: int, head: bytes = OK) -> bytes:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return head + CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def packed(encoding: bytes, body: bytes) -> bytes:
    return sized(body, OK + b"Content-Encoding: %b\r\n" % encoding)


class Pair:
    """Both clients and a scripted upstream, on a loop of their own."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._runner = asyncio.Runner(loop_factory=new_loop)

    def __enter__(self) -> Self:
        self._upstream = FaultUpstream()
        self._runner.run(self._upstream.__aenter__())
        self._url = URL(self._upstream.url)
        self._ours, self._theirs = self._runner.run(self._make_clients())
        return self

    async def _make_clients(self) -> tuple[WireClient, AiohttpClient]:
        return WireClient(), AiohttpClient()

    def __exit__(self, *_: object) -> None:
        for ending in (self._ours.close(), self._theirs.close()):
            self._runner.run(ending)
        self._runner.run(self._upstream.__aexit__(None, None, None))
        self._runner.close()

    def both(self, wire: bytes, step: int = 0, *, streams: bool = False) -> tuple[Seen, Seen]:
        """Answer each client with these bytes, `step` a write, and close the connection."""
        step = step or len(wire) or 1
        pieces = tuple(wire[at : at + step] for at in range(0, len(wire), step))
        reply = Reply(raw_head=b"", pieces=pieces, framing=Framing.close, end=End.close)
        return self._runner.run(self._both(reply, streams=streams))

    async def _both(self, reply: Reply, *, streams: bool) -> tuple[Seen, Seen]:
        self._upstream.script(reply, reply)
        ours = await self._seen(self._ours, streams=streams)
        assert self._ours.idle_connections == 0
        return ours, await self._seen(self._theirs, streams=streams)

    async def _seen(self, client: UpstreamClient, *, streams: bool) -> Seen:
        call = UpstreamCall(self._url, CIMultiDict(), b"{}", 2.0, allows_private=True)
        try:
            async with asyncio.timeout(5):
                reply = await client.send(call)
                try:
                    if streams:
                        body = b"".join([part async for part in reply.chunks()])
                    else:
                        body = await reply.read(LIMIT)
                finally:
                    reply.close()
        except UpstreamFault as fault:
            return (type(fault).__name__, fault.may_have_run)
        return reply.status, [(name.lower(), text) for name, text in reply.headers.items()], body


@pytest.fixture(scope="module", params=LOOPS.values(), ids=LOOPS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with Pair(request.param) as made:
        yield made


BODY = b'{"a": 1}\n' * 3
SMALL = {
    "length": sized(BODY, OK + b"X-Request-Id: 1\r\n"),
    "chunked": in_chunks(BODY, 5),
    "close": OK + b"Content-Type: a/b\r\n\r\n" + BODY,
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + sized(BODY),
    "deflate": packed(b"deflate", zlib.compress(BODY)),
    "trailers": OK + CHUNKED + b"3;x=y\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n",
}


@pytest.mark.parametrize("name", SMALL)
def test_cut_at_every_byte_both_see_the_same(pair: Pair, name: str) -> None:
    wire = SMALL[name]
    for at in range(len(wire) + 1):
        ours, theirs = pair.both(wire[:at], streams=at % 2 == 0)
        assert ours == theirs, f"cut at {at}: {wire[:at]!r}"
    assert ours[0] == 200


HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
HEADERS = st.lists(st.tuples(st.sampled_from(["X-A", "x-b", "Set-Cookie"]), HEADER_TEXT))


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer, right in most ways, and now and then damaged."""
    body = draw(st.binary(max_size=300))
    status = draw(st.integers(200, 599))
    fields = "".join(f"{name}: {text}\r\n" for name, text in draw(HEADERS))
    head = f"HTTP/1.1 {status} Text\r\n{fields}".encode("latin-1")
    head = draw(st.sampled_from([b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"])) + head
    match draw(st.sampled_from(["plain", "gzip", "deflate"])):
        case "gzip":
            body, head = gzip.compress(body), head + b"Content-Encoding: gzip\r\n"
        case "deflate":
            body, head = zlib.compress(body), head + b"Content-Encoding: deflate\r\n"
    match draw(st.sampled_from(["length", "lie", "chunked", "bad chunk", "close"])):
        case "length":
            return sized(body, head)
        case "lie":
            return head + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body
        case "chunked":
            return in_chunks(body, draw(st.integers(1, 400)), head)
        case "bad chunk":
            return in_chunks(body, 50, head).replace(b"\r\n0\r\n", b"\r\n0x\r\n")
        case _:
            return head + b"\r\n" + body


def test_whatever_is_sent_both_see_the_same(pair: Pair) -> None:
    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(answers(), st.integers(1, 400), st.booleans())
    def check(wire: bytes, step: int, streams: bool) -> None:  # noqa: FBT001 drawn, not called
        ours, theirs = pair.both(wire, step if len(wire) / step < 80 else 0, streams=streams)
        if ours != theirs:  # a status without a body, followed by one: rubbish after the answer
            assert (
                wire.split(b" ")[1][:3] in {b"204", b"304"} or b" 204 " in wire or b" 304 " in wire
            )
            assert theirs[0] == "BrokenFault"
            assert ours[0] in {204, 304}

    check()


SAME = {
    "nothing": b"",
    "not HTTP": b"\x16\x03\x01 this is not HTTP\r\n\r\n",
    "only an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "status of two digits": b"HTTP/1.1 42 C\r\n\r\n",
    "status of four digits": b"HTTP/1.1 1000 C\r\n\r\n",
    "status nobody knows": b"HTTP/1.1 999 C\r\n\r\nxx",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    "an empty line first": b"\r\n" + sized(b"a"),
    "204": b"HTTP/1.1 204 N\r\n\r\n",
    "204 with a length": b"HTTP/1.1 204 N\r\nContent-Length: 3\r\n\r\n",
    "304 with a length": b"HTTP/1.1 304 N\r\nContent-Length: 3\r\n\r\n",
    "another answer follows": sized(b"ok") + sized(b"no"),
    "both framings": OK + b"Content-Length: 2\r\n" + CHUNKED + b"0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "length with a sign": OK + b"Content-Length: +2\r\n\r\nab",
    "negative length": OK + b"Content-Length: -2\r\n\r\nab",
    "empty length": OK + b"Content-Length:\r\n\r\nab",
    "huge length": OK + b"Content-Length: 99999999999999999999999\r\n\r\nab",
    "no chunk size": OK + CHUNKED + b"zz\r\na\r\n0\r\n\r\n",
    "negative chunk size": OK + CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "huge chunk size": OK + CHUNKED + b"fffffffffffffffffff\r\na\r\n0\r\n\r\n",
    "chunk too long": OK + CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "chunks with bare line feeds": OK + CHUNKED + b"1\na\n0\n\n",
    "chunked in capitals": OK + b"Transfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "NUL in a header": sized(b"", OK + b"A: b\0\r\n"),
    "carriage return in a header": sized(b"", OK + b"A: b\rc\r\n"),
    "header not ASCII": sized(b"", OK + b"A: b\xe9\r\n"),
    "header with tabs": sized(b"", OK + b"A: \tb\tc \t\r\n"),
    "empty header": sized(b"", OK + b"A:\r\nB:  \r\n"),
    "space before the colon": sized(b"", OK + b"A : b\r\n"),
    "header without a colon": sized(b"", OK + b"A b\r\n"),
    "header without a name": sized(b"", OK + b": b\r\n"),
    "header name not ASCII": sized(b"", OK + b"A\xe9: b\r\n"),
    "a large header": sized(b"", OK + b"A: " + b"b" * 20_000 + b"\r\n"),
    "a huge header": sized(b"", OK + b"A: " + b"b" * 200_000 + b"\r\n"),
    "a header without end": OK + b"A: " + b"b" * 200_000,
    "gzip": packed(b"GZip ", gzip.compress(BODY)),
    "gzip to the end of the connection": OK
    + b"Content-Encoding: gzip\r\n\r\n"
    + gzip.compress(BODY),
    "two gzip members": packed(b"gzip", gzip.compress(BODY) * 2),
    "gzip and rubbish": packed(b"gzip", gzip.compress(BODY) + b"junk"),
    "rubbish for gzip": packed(b"gzip", b"not gzip"),
    "no gzip at all": packed(b"gzip", b""),
    "deflate cut": packed(b"deflate", zlib.compress(BODY)[:-5]),
    "identity": packed(b"identity", BODY),
    "brotli": packed(b"br", b"xx"),
    "zstandard": packed(b"zstd", b"xx"),
}


@pytest.mark.parametrize("name", SAME)
def test_of_every_oddity_both_see_the_same(pair: Pair, name: str) -> None:
    ours, theirs = pair.both(SAME[name])
    assert ours == theirs


PLAIN_GZIP = gzip.compress(BODY, mtime=0)
# What we see where aiohttp's client sees something else, and why ours is right.
DIFFERENT: dict[str, tuple[bytes, object]] = {
    # The answer is whole: what follows it costs the connection, not a billed call.
    "rubbish follows": (sized(b"ok") + b"junk", 200),
    "204 and rubbish": (b"HTTP/1.1 204 N\r\n\r\nabc", 204),
    # We never offer another protocol.
    "101": (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nabc", "BrokenFault"),
    "101 alone": (b"HTTP/1.1 101 S\r\n\r\n", "BrokenFault"),
    "status below 100": (b"HTTP/1.1 099 C\r\n\r\n", "BrokenFault"),
    # A coding we cannot undo: what would be passed on is no answer.
    "gzip as transfer": (OK + b"Transfer-Encoding: gzip\r\n\r\nabc", "BrokenFault"),
    "chunks inside": (OK + b"Transfer-Encoding: chunked, identity\r\n\r\na", "BrokenFault"),
    "unknown encoding": (packed(b"foo", b"xx"), "BrokenFault"),
    "gzip twice": (packed(b"gzip, gzip", PLAIN_GZIP), "BrokenFault"),
    "older name of gzip": (packed(b"x-gzip", PLAIN_GZIP), 200),
    # aiohttp gives out what it has of cut gzip data as if it were whole.
    "gzip cut": (packed(b"gzip", PLAIN_GZIP[:-5]), "BrokenFault"),
    # The parser's leniencies are ways to disagree about where an answer ends.
    "space after a chunk size": (OK + CHUNKED + b"1 \r\na\r\n0\r\n\r\n", "BrokenFault"),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", "BrokenFault"),
    "folded header": (sized(b"", OK + b"A: b\r\n c\r\n"), "BrokenFault"),
    "control character": (sized(b"", OK + b"A: b\x01\r\n"), "BrokenFault"),
    # Ours is one limit for the whole head, theirs are for each line and for the number of lines.
    "one 40 KB header": (sized(b"", OK + b"A: " + b"b" * 40_000 + b"\r\n"), 200),
    "200 headers": (sized(b"", OK + b"A: b\r\n" * 200), 200),
    "80 KB of headers": (sized(b"", OK + (b"A: " + b"b" * 20_000 + b"\r\n") * 4), "BrokenFault"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_where_the_two_differ(pair: Pair, name: str) -> None:
    wire, expected = DIFFERENT[name]
    ours, theirs = pair.both(wire)
    assert ours[0] == expected
    assert ours != theirs, "no difference any more: move it to SAME"


# --- the reply on its own


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


@pytest.mark.parametrize("name", ["length", "chunked", "interim", "deflate", "trailers"])
async def test_every_split_reads_the_same_and_leaves_the_connection_reusable(name: str) -> None:
    wire = SMALL[name]
    expected = b"abc" if name == "trailers" else BODY
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
        SMALL["close"],
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
    assert [reply_of(wire[:at], wire[at:])[0].is_reusable for at in range(len(wire))].count(
        True
    ) == (
        # Cut exactly behind a whole answer, the rest is what an idle connection must not say.
        0
    )


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
        await early.wait_head()


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
    reply, tape = reply_of(sized(bytes(MOST_BUFFERED_BYTES * 2)))
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
