"""Rows of the fault matrix: requests whose framing is broken, odd, or means two things (B4).

Run by test_framing_rows.py, printed by tests/docs_tables.py. The forms are those that HTTP servers
are known to disagree about: what one takes for a body is the next request to another.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.proxy_gateway import API_KEY

BODY = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}]}'
LENGTH = b"%d" % len(BODY)
SIZE = b"%x\r\n" % len(BODY)
CHUNKS = SIZE + BODY + b"\r\n0\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST = b"Host: gateway\r\n"
KEY = b"Authorization: Bearer " + API_KEY.encode() + b"\r\n"
HEAD = POST + HOST + KEY


@dataclass(frozen=True, slots=True)
class FramingRow:
    """One request as raw bytes, and the status that answers it; 200 is one whole call."""

    name: str
    status: int
    request: bytes
    has_good_head: bool = False  # so that a call has begun when its body turns out to be broken


def lengths(name: str, status: int, *lines: bytes, body: bytes = BODY) -> FramingRow:
    """Make a row of these header lines and a body as it is."""
    head = HEAD + b"".join(line + b"\r\n" for line in lines)
    return FramingRow(name, status, head + b"\r\n" + body)


def codings(name: str, status: int, *lines: bytes) -> FramingRow:
    """Make a row of these header lines and a chunked body."""
    return lengths(name, status, *lines, body=CHUNKS)


def chunks(name: str, status: int, body: bytes) -> FramingRow:
    """Make a row whose head is as it should be."""
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    return FramingRow(name, status, head + body, has_good_head=True)


def heads(name: str, status: int, head: bytes) -> FramingRow:
    """Make a row of a whole head, with the body its length says."""
    return FramingRow(name, status, head + b"Content-Length: " + LENGTH + b"\r\n\r\n" + BODY)


GOOD_LENGTH = b"Content-Length: " + LENGTH
FRAMING_ROWS = (
    lengths("one `Content-Length`", 200, GOOD_LENGTH),
    codings("chunks", 200, b"Transfer-Encoding: chunked"),
    codings("chunks in other letters", 200, b"transfer-encoding: CHUNKED"),
    codings("CL.TE", 400, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    codings("TE.CL", 400, b"Transfer-Encoding: chunked", GOOD_LENGTH),
    lengths("two unlike lengths", 400, GOOD_LENGTH, b"Content-Length: 5"),
    lengths("two like lengths", 400, GOOD_LENGTH, GOOD_LENGTH),
    lengths("a list of lengths", 400, GOOD_LENGTH + b", " + LENGTH),
    lengths("a length below zero", 400, b"Content-Length: -1"),
    lengths("a length with a plus sign", 400, b"Content-Length: +" + LENGTH),
    lengths("a length in hexadecimal", 400, b"Content-Length: 0x46"),
    lengths("a length with an underscore", 400, b"Content-Length: 7_0"),
    lengths("a length with a space inside", 400, b"Content-Length: 7 0"),
    lengths("a length of 23 digits", 400, b"Content-Length: 99999999999999999999999"),
    lengths("an empty length", 400, b"Content-Length:"),
    lengths("a space before the colon", 400, b"Content-Length : " + LENGTH),
    codings("a space before the coding's colon", 400, b"Transfer-Encoding : chunked"),
    lengths("a folded line", 400, b"X-A: b\r\n c", GOOD_LENGTH),
    codings("a folded coding", 400, b"Transfer-Encoding:\r\n chunked"),
    codings("`xchunked`", 400, b"Transfer-Encoding: xchunked"),
    codings("`chunked, identity`", 400, b"Transfer-Encoding: chunked, identity"),
    codings("`identity, chunked`", 400, b"Transfer-Encoding: identity, chunked"),
    codings("`gzip, chunked`", 400, b"Transfer-Encoding: gzip, chunked"),
    codings("`chunked, chunked`", 400, b"Transfer-Encoding: chunked, chunked"),
    codings("`chunked` twice", 400, *[b"Transfer-Encoding: chunked"] * 2),
    codings("`chunked` after a vertical tab", 400, b"Transfer-Encoding: \x0bchunked"),
    codings("`chunked` in quotes", 400, b'Transfer-Encoding: "chunked"'),
    codings("`chunked;q=1`", 400, b"Transfer-Encoding: chunked;q=1"),
    lengths("`identity` and a length", 400, b"Transfer-Encoding: identity", GOOD_LENGTH),
    chunks("a chunk extension", 200, CHUNKS.replace(b"\r\n", b";a=b\r\n", 1)),
    chunks("a bare LF in a chunk extension", 400, CHUNKS.replace(b"\r\n", b";a\n5\r\n", 1)),
    chunks("a bare LF after a chunk size", 400, CHUNKS.replace(b"\r\n", b"\n", 1)),
    chunks("a bare LF after the last chunk", 400, CHUNKS[:-4] + b"\n\n"),
    chunks("a chunk size with 0x", 400, b"0x" + CHUNKS),
    chunks("a chunk size below zero", 400, b"-5\r\n"),
    chunks("a chunk size with a plus sign", 400, b"+" + CHUNKS),
    chunks("a chunk size with an underscore", 400, b"0_" + CHUNKS),
    chunks("a chunk size with a space", 400, CHUNKS.replace(b"\r\n", b" \r\n", 1)),
    chunks("a chunk size beyond 64 bits", 400, b"f" * 18 + b"\r\n"),
    chunks("a chunk longer than its size", 400, b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    chunks("a chunk without its line end", 400, SIZE + BODY + b"XX0\r\n\r\n"),
    chunks("a length in the trailer", 400, CHUNKS[:-2] + b"Content-Length: 5\r\n\r\n"),
    heads("a space before the first header", 400, POST + b" " + HOST + KEY),
    heads("a bare LF in the head", 400, HEAD + b"X-A: b\n"),
    heads("bare LFs only", 400, HEAD.replace(b"\r\n", b"\n")),
    heads("a bare CR in the head", 400, HEAD + b"X-A: b\rX-B: c\r\n"),
    heads("NUL in a header", 400, HEAD + b"X-A: b\0c\r\n"),
    heads("a header without a colon", 400, HEAD + b"X-A\r\n"),
    heads("a header without a name", 400, HEAD + b": x\r\n"),
    heads("a name that is not ASCII", 400, HEAD + b"X-\xe9: x\r\n"),
    heads("no `Host`", 400, POST + KEY),
    heads("two `Host`", 400, HEAD + b"Host: other\r\n"),
    heads("a header line of 20 KB", 400, HEAD + b"X-A: " + b"a" * 20_000 + b"\r\n"),
    heads("500 headers", 400, HEAD + b"X-A: a\r\n" * 500),
    heads("a space in the path", 400, HEAD.replace(b"chat/", b"ch at/")),
    heads("a method in small letters", 400, HEAD.replace(b"POST", b"post")),
    heads("a method that is no token", 400, HEAD.replace(b"POST", b"P(ST")),
    heads("HTTP/1.2", 400, HEAD.replace(b"HTTP/1.1", b"HTTP/1.2")),
    heads("HTTP/2.0 in HTTP/1's words", 505, HEAD.replace(b"HTTP/1.1", b"HTTP/2.0")),
    FramingRow("no version (HTTP/0.9)", 505, b"POST /v1/chat/completions\r\n\r\n"),
    FramingRow(
        "the preface of HTTP/2", 400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", has_good_head=True
    ),
    FramingRow("a TLS hello", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    FramingRow(
        "chunks in HTTP/1.0",
        400,
        HEAD.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    ),
    heads("a whole URL as the path", 200, HEAD.replace(b"/v1", b"http://other.example/v1")),
    FramingRow("`CONNECT`", 404, b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + KEY + b"\r\n"),
    FramingRow(
        "`Expect` of something else",
        417,
        HEAD + b"Expect: 200-ok\r\n" + GOOD_LENGTH + b"\r\n\r\n" + BODY,
        has_good_head=True,
    ),
)


def framing_table(rows: Iterable[FramingRow]) -> str:
    """The rows as a Markdown table."""
    lines = ["| request | answer | upstream calls |", "|---|---|---|"]
    for row in rows:
        is_call = row.status == 200
        closed = "" if is_call else ", the connection is closed"
        lines.append(f"| {row.name} | {row.status}{closed} | {int(is_call)} |")
    return "\n".join(lines) + "\n"
