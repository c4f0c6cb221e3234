"""Plain heads: what is read at once is what the parser would have read, and nothing else is."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.upstream_client import BrokenFault
from proxy.wire_exchange import HEAD_OF_CHUNKS, WireReply
from proxy.wire_head import CHUNKED, LARGEST_PLAIN_BYTES, WireHeaders, read_plain_head

OK = b"HTTP/1.1 200 OK\r\n"
HEADERS = WireHeaders(b"\r\nA: 1\r\nb:\t two words \r\nA:3\r\nC:\r\nD: caf\xe9 \xc3\xa9\r\n")


class Nowhere:
    """A lane that leads nowhere."""

    def abort(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


def headers_of(*lines: bytes) -> bytes:
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


# --- the mapping


def test_a_header_is_met_in_any_case() -> None:
    assert (HEADERS["a"], HEADERS["B"], HEADERS.get("c"), HEADERS.get("e")) == (
        "1",
        "two words",
        "",
        None,
    )
    assert "D" in HEADERS
    assert "e" not in HEADERS
    assert HEADERS.get("e", "other") == "other"
    with pytest.raises(KeyError):
        HEADERS["e"]


def test_every_line_is_there_in_its_order() -> None:
    expected = [("A", "1"), ("b", "two words"), ("A", "3"), ("C", ""), ("D", "caf\udce9 é")]
    assert list(HEADERS.items()) == expected
    assert (len(HEADERS), list(HEADERS)) == (5, [name for name, _ in expected])
    assert HEADERS.getall("a") == ["1", "3"]
    assert HEADERS.getall("e") == []


@pytest.mark.parametrize("name", ["1", "two words", "words", "", "a: 1", "caf\udce9", "b:"])
def test_what_is_no_name_is_not_found(name: str) -> None:
    assert name not in HEADERS


# --- which heads are plain


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (headers_of(b"Content-Length: 12"), 12),
        (headers_of(b"A: b", b"content-length:0", b"Connection: Keep-Alive"), 0),
        (headers_of(b"Transfer-Encoding: chunked", b"Server: x"), CHUNKED),
        (headers_of(b"Content-Length: 3").replace(b"200", b"503"), 3),
    ],
)
def test_what_is_plain_is_read_at_once(head: bytes, length: int) -> None:
    plain = read_plain_head(head + b"body")
    assert plain is not None
    assert plain[2:] == (len(head), length)


LENGTH = b"Content-Length: 3"
DOUBTFUL = {
    "no framing": headers_of(b"A: b"),
    "two lengths": headers_of(LENGTH, LENGTH),
    "both framings": headers_of(LENGTH, b"Transfer-Encoding: chunked"),
    "two codings": headers_of(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "another coding": headers_of(b"Transfer-Encoding: gzip, chunked"),
    "no number": headers_of(b"Content-Length: 3, 3"),
    "a sign": headers_of(b"Content-Length: +3"),
    "digits of others": headers_of("Content-Length: ٣".encode()),
    "a huge length": headers_of(b"Content-Length: 1234567890123"),
    "the connection ends": headers_of(LENGTH, b"Connection: close"),
    "two connections": headers_of(LENGTH, b"Connection: keep-alive", b"Connection: close"),
    "a proxy's connection": headers_of(LENGTH, b"Proxy-Connection: close"),
    "an upgrade": headers_of(LENGTH, b"Upgrade: h2c"),
    "folded": headers_of(b"A: b", b" c", LENGTH),
    "a bare line feed": headers_of(b"A: b\nContent-Length: 4", LENGTH),
    "a bare carriage return": headers_of(b"A: b\rc", LENGTH),
    "a control character": headers_of(b"A: b\x01", LENGTH),
    "a control character in the reason": headers_of(LENGTH).replace(b"OK", b"O\x01"),
    "a space before the colon": headers_of(b"A : b", LENGTH),
    "no colon": headers_of(b"A", LENGTH),
    "no name": headers_of(b": b", LENGTH),
    "an older version": headers_of(LENGTH).replace(b"1.1", b"1.0"),
    "no body": headers_of(LENGTH).replace(b"200", b"204"),
    "an interim answer": headers_of(LENGTH).replace(b"200", b"100"),
    "no reason": headers_of(LENGTH).replace(b" OK", b""),
    "not the whole head": headers_of(LENGTH)[:-1],
    "a large head": headers_of(b"A: " + b"b" * LARGEST_PLAIN_BYTES, LENGTH),
    "nothing": b"",
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_every_other_head_is_the_parsers(name: str) -> None:
    assert read_plain_head(DOUBTFUL[name]) is None


# --- read at once, or by the parser


FIELD = st.sampled_from([
    b"A: b", b"a:", b"A:\t \xe9", b"X-Request-Id: 1", b"Connection: keep-alive", b"Connection: x",
    b"Content-Length: 3", b"Content-Length: 0", b"content-length:  2 ", b"Content-Length:\t3",
    b"Content-Length: 03", b"CONTENT-LENGTH: 5", b"Transfer-Encoding: chunked", b"Upgrade: a",
    b"transfer-encoding: Chunked ", b"Transfer-Encoding: identity", b"Content-Encoding: identity",
    b"A : b", b"A: b\x00", b"A: b\x7f", b"A: b\nc: d", b" folded", b"Proxy-Connection: close",
     b"A@: b", b"A\x80: b", b"A!~: b",
])  # fmt: skip
STATUS_LINE = st.sampled_from([
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 404 Not Found",
    b"HTTP/1.1 599 \xe9", b"HTTP/1.1 500 a\tb", b"HTTP/1.1 204 N", b"HTTP/1.0 200 OK",
    b"HTTP/1.1  200 OK", b"HTTP/1.1 2000 OK", b"http/1.1 200 OK", b"HTTP/1.1 418 a\x7f",
])  # fmt: skip
BODY = st.sampled_from([
    b"", b"a", b"abc", b"abcde", b"abcHTTP/1.1 200 OK\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n0\r\nT: u\r\n\r\n", b"0\r\n\r\n", b"0\r\n\r\nX", b"3\r\nabcd", b"-1\r\n",
    b"z\r\n",    b"3;a=b\r\nabc\r\n", b"3\nabc\n0\n\n",
])  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    lines = [draw(STATUS_LINE), *draw(st.lists(FIELD, max_size=4))]
    return b"\r\n".join(lines) + b"\r\n\r\n" + draw(BODY)


async def seen(pieces: list[bytes]) -> tuple[object, ...]:
    """Return what an exchange makes of these bytes, and whether its connection is clean."""
    reply, is_clean = WireReply(Nowhere()), True
    for piece in pieces:
        is_clean = is_clean and not reply.is_over  # the connection's owner cuts it then
        reply.feed(piece)
    is_clean = is_clean and reply.is_reusable
    state = (is_clean, reply.is_over, reply.status, list(reply.headers.items()))
    reply.lose_connection(None)
    try:
        return *state, await reply.read(1 << 20)
    except BrokenFault as fault:
        return *state, str(fault), reply.buffered_bytes


@settings(max_examples=300, deadline=None)
@given(answers(), st.integers(1, 200))
@example(OK + b"Content-Length: 3\r\n\r\nabc", 30)
@example(HEAD_OF_CHUNKS + b"3\r\nabc\r\n0\r\n\r\n", 60)
async def test_read_at_once_is_as_the_parser_reads_it(wire: bytes, at: int) -> None:
    """A head that comes in two pieces is never plain: the parser has it."""
    end = wire.index(b"\r\n\r\n") + 4
    by_parser = await seen([wire[:1], wire[1:]])
    for pieces in ([wire], [wire[:end], wire[end:]], [wire[: end + at], wire[end + at :]]):
        is_clean, *ours = await seen([piece for piece in pieces if piece])
        assert ours == list(by_parser[1:])
        # The parser forgives an empty line after an answer; who reads at once does not.
        assert is_clean == by_parser[0] or (not is_clean and wire.endswith(b"\r\n"))
