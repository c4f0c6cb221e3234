"""A head is known again only where it means the same: aiohttp's strict parser is the oracle."""

import asyncio
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.known_heads import MOST_HEADS, HeadBook

PATH = "/v1/chat/completions"
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\n"
    b"Content-Length: %s\r\nx-b: c\r\n"
)


class Parser:
    """aiohttp's parser, and how often it was asked."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.calls = 0

    def __call__(self, head: bytes) -> RawRequestMessage | None:
        self.calls += 1
        parser: Any = HttpRequestParser(BaseProtocol(self.loop), self.loop, 65_536)
        messages, _, _ = parser.feed_data(head)
        return messages[0][0] if messages else None


def book_of(parser: Parser) -> HeadBook:
    return HeadBook({PATH: "chat"}, parser)


def test_a_head_is_parsed_once_whatever_its_length() -> None:
    parser = Parser()
    book = book_of(parser)
    found = [book.find(HEAD % digits) for digits in (b"1", b"42", b"65536", b"42")]
    assert [each.length for each in found if each] == [1, 42, 65_536, 42]
    assert {each.token for each in found if each} == {"k"}
    assert len({id(each[0]) for each in found if each}) == 1
    assert parser.calls == 1
    known = found[0]
    assert known is not None
    assert known[0].answerer == "chat"
    assert known[0].message.headers["x-b"] == "c"


def test_a_head_is_known_whoever_sends_it_and_keeps_nobodys_key() -> None:
    parser = Parser()
    book = book_of(parser)
    heads = [(HEAD % b"7").replace(b"Bearer k", b"Bearer " + key) for key in (b"k", b"apex_a-b_c")]
    found = [book.find(head) for head in heads]
    assert [each.token for each in found if each] == ["k", "apex_a-b_c"]
    assert len({id(each.known) for each in found if each}) == parser.calls == 1
    assert found[0] is not None
    assert b"Bearer" not in repr(found[0].known.message).encode()


@pytest.mark.parametrize("key", [b"", b" k", b"k ", b"k k", b"k\xff", b"k\0", b"k\r", b"k,k"])
def test_a_key_of_odd_bytes_is_left_to_aiohttp(key: bytes) -> None:
    assert book_of(Parser()).find((HEAD % b"7").replace(b"Bearer k", b"Bearer " + key)) is None


def test_heads_are_kept_within_bounds() -> None:
    parser = Parser()
    book = book_of(parser)
    for number in range(MOST_HEADS + 2):
        assert book.find(HEAD % b"1" + b"x-n: %d\r\n" % number)
    assert parser.calls == MOST_HEADS + 2
    assert book.find(HEAD % b"1" + b"x-long: " + b"a" * 5000 + b"\r\n")
    assert book.find(HEAD % b"1" + b"x-long: " + b"a" * 5000 + b"\r\n")
    assert parser.calls == MOST_HEADS + 4


@pytest.mark.parametrize(
    "head",
    [
        HEAD % b"",
        HEAD % b"+1",
        HEAD % b" 1",
        HEAD % b"1 ",
        HEAD % b"01",
        HEAD % b"0",
        HEAD % b"1,1",
        HEAD % b"0x1",
        HEAD % b"\xd9\xa1",
        HEAD % b"123456789",
        HEAD % b"1" + b"Content-Length: 1\r\n",
        HEAD % b"1" + b"content-length: 2\r\n",
        HEAD % b"1" + b"Transfer-Encoding: chunked\r\n",
        HEAD % b"1" + b"Content-Encoding: gzip\r\n",
        HEAD % b"1" + b"Expect: 100-continue\r\n",
        HEAD % b"1" + b"Connection: close\r\n",
        HEAD % b"1" + b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        HEAD % b"1" + b" folded\r\n",
        HEAD % b"1" + b"no colon\r\n",
        HEAD % b"1" + b"x\0y: 1\r\n",
        (HEAD % b"1").replace(b"POST", b"GET"),
        (HEAD % b"1").replace(b"HTTP/1.1", b"HTTP/1.0"),
        (HEAD % b"1").replace(b"completions HTTP", b"completions?a=b HTTP"),
        (HEAD % b"1").replace(b"/v1/chat", b"/v1/else"),
        (HEAD % b"1").replace(b"Content-Length: 1\r\n", b""),
        b"",
    ],
)
def test_all_that_is_unusual_is_left_to_aiohttp(head: bytes) -> None:
    book = book_of(Parser())
    assert book.find(HEAD % b"7")
    assert book.find(head) is None


SPLICES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b" ", b":", b"\0", b"Content-Length: 5", b"content-length: 5", b"5",
     b"\r\nContent-Length: 5\r\n", b"Bearer ", b"\r\nAuthorization: Bearer z\r\n",
     b"\r\nauthorization: Basic z\r\n", b"Transfer-Encoding: chunked\r\n", b"\t", b"\xff", b""]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(HEAD)), st.integers(0, 12), SPLICES, st.sampled_from([b"7", b"12", b"300"])
)
def test_what_is_known_means_what_the_parser_says(
    place: int, cut: int, splice: bytes, digits: bytes
) -> None:
    """However a head is tampered with, it is left alone, or read as aiohttp would read it."""
    parser = Parser()
    book = book_of(parser)
    whole = HEAD % digits
    assert book.find(whole)
    tampered = whole[:place] + splice + whole[place + cut :]
    found = book.find(tampered)
    if found is None:
        return
    try:
        message = parser(tampered + b"\r\n")
    except HttpProcessingError as error:
        raise AssertionError(tampered) from error
    known, token, length = found
    assert message is not None
    if token:  # else the key, if any, is part of the head, and is read from it
        assert message.headers.getall("Authorization") == [f"Bearer {token}"]
        assert "Authorization" not in known.message.headers
    assert message.headers.getall("Content-Length") == [str(length)]
    of_the_call = ("content-length", "authorization" if token else "")
    shared = [
        [pair for pair in said.headers.items() if pair[0].lower() not in of_the_call]
        for said in (message, known.message)
    ]
    assert shared[0] == shared[1]
    assert (known.message.method, known.message.path) == (message.method, message.path)
