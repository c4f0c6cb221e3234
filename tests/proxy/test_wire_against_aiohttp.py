"""The same wire bytes for our client and for aiohttp's, its oracle: both see the same answer."""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from proxy.upstream_client import (
    AiohttpClient,
    UpstreamCall,
    UpstreamClient,
    UpstreamFault,
)
from proxy.wire_client import WireClient
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
    """A scripted upstream on a loop of its own, called with each of the two clients."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._runner = asyncio.Runner(loop_factory=new_loop)
        self._upstream = FaultUpstream()

    def __enter__(self) -> Self:
        self._runner.run(self._upstream.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._upstream.__aexit__(None, None, None))
        self._runner.close()

    def both(self, wire: bytes, step: int = 0, *, streams: bool = False) -> tuple[Seen, Seen]:
        """Answer each client with these bytes, `step` a write, and close the connection."""
        step = step or len(wire) or 1
        pieces = tuple(wire[at : at + step] for at in range(0, len(wire), step))
        reply = Reply(raw_head=b"", pieces=pieces, framing=Framing.close, end=End.close)
        self._upstream.script(reply, reply)
        seen = [self._runner.run(self._seen(make, streams)) for make in (WireClient, AiohttpClient)]
        return seen[0], seen[1]

    async def _seen(self, make: Callable[[], UpstreamClient], streams: bool) -> Seen:
        url = URL(self._upstream.url)
        call = UpstreamCall(url, CIMultiDict(), b"{}", connect_s=2.0, allows_private=True)
        client = make()
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
        finally:
            await client.close()
        return reply.status, [(name.lower(), text) for name, text in reply.headers.items()], body


@pytest.fixture(scope="module", params=list(LOOPS.values()), ids=list(LOOPS))
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
    framings = ["length", "lie", "chunked", "close"]
    if b"Content-Encoding" not in head:  # with it, aiohttp's client can wait without end
        framings.append("bad chunk")
    match draw(st.sampled_from(framings)):
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
    def check(wire: bytes, step: int, streams: bool) -> None:
        ours, theirs = pair.both(wire, step if len(wire) / step < 80 else 0, streams=streams)
        if ours != theirs:  # a body after a status that has none: "204 and rubbish" below
            assert ours[0] in {204, 304}
            assert theirs[0] == "BrokenFault"

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
