"""The upstream client against a real socket server: rows 12-16 of the fault table."""

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict
from yarl import URL

from proxy.upstream_client import (
    AiohttpClient,
    BrokenFault,
    UnreachableFault,
    UpstreamCall,
    UpstreamFault,
)
from tests import fault_replies as replies
from tests.fault_replies import End, Framing, Reply
from tests.fault_upstream import FaultUpstream

LIMIT = 1 << 20
JSON = ("Content-Type", "application/json")


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[AiohttpClient]:
    made = AiohttpClient()
    yield made
    await made.close()


def call_to(url: str, **changes: Any) -> UpstreamCall:
    parts: dict[str, Any] = {
        "url": URL(url) / "chat/completions",
        "headers": CIMultiDict({"Content-Type": "application/json", "x-novel": "v"}),
        "body": b'{"model":"m"}',
        "connect_s": 1.0,
        "allows_private": True,
    }
    return UpstreamCall(**parts | changes)


async def answer_of(client: AiohttpClient, url: str, limit: int = LIMIT) -> bytes:
    async with asyncio.timeout(5):
        reply = await client.send(call_to(url))
        try:
            return await reply.read(limit)
        finally:
            reply.close()


async def test_a_call_goes_out_and_its_answer_comes_back_as_they_are(
    client: AiohttpClient, upstream: FaultUpstream
) -> None:
    upstream.script(replies.json_reply({"a": 1}, 418, (("X-Request-Id", "up-1"),)))
    reply = await client.send(call_to(upstream.url))
    assert (reply.status, reply.headers["x-request-id"]) == (418, "up-1")
    assert await reply.read(LIMIT) == b'{"a":1}'
    sent = upstream.calls[0]
    assert (sent.method, sent.path, sent.body) == ("POST", "/v1/chat/completions", b'{"model":"m"}')
    assert sent.headers.keys() == {"host", "content-type", "content-length", "x-novel"}


async def test_a_connection_is_used_again_once_its_answer_was_read(
    client: AiohttpClient, upstream: FaultUpstream
) -> None:
    for _ in range(3):
        await answer_of(client, upstream.url)
    assert upstream.connections == 1


async def test_an_answer_left_unread_cuts_its_connection(
    client: AiohttpClient, upstream: FaultUpstream
) -> None:
    """Closing stops the upstream's work; giving the connection back would let it run on."""
    upstream.script(replies.silent_stream(1))
    reply = await client.send(call_to(upstream.url))
    assert await anext(reply.chunks())
    reply.close()
    await upstream.wait_for_leaving()
    await answer_of(client, upstream.url)
    assert upstream.connections == 2


async def test_a_caller_who_is_cancelled_cuts_the_call(
    client: AiohttpClient, upstream: FaultUpstream
) -> None:
    upstream.script(replies.silence())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.send(call_to(upstream.url))
    await upstream.wait_for_leaving()


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (replies.reset(), UnreachableFault),
        (replies.close_without_answer(), UnreachableFault),
        (replies.accept_then_close(), UnreachableFault),
        (replies.accept_then_reset(), UnreachableFault),
        (replies.not_http(), BrokenFault),
        (replies.huge_headers(), BrokenFault),
        (replies.cut_json(), BrokenFault),
        (replies.cut_json(0.0), BrokenFault),
        (replies.cut_at_byte(replies.ok_json(), 20), UpstreamFault),
        (replies.cut_at_byte(replies.ok_json(), 40, End.reset), UpstreamFault),
        (replies.cut_stream(2), BrokenFault),
        (replies.endless_body(), BrokenFault),
        (Reply(raw_head=b"HTTP/9.9 200 OK\r\n\r\n", framing=Framing.close), BrokenFault),
        (Reply(raw_head=b"HTTP/1.1 two OK\r\n\r\n", framing=Framing.close), BrokenFault),
        (
            Reply(headers=(JSON, ("Content-Length", "1"), ("Content-Length", "2")), end=End.close),
            UpstreamFault,
        ),
        (
            Reply(headers=(JSON, ("Content-Encoding", "gzip")), pieces=(b"not gzip" * 9,)),
            BrokenFault,
        ),
        (
            Reply(headers=(JSON, ("Content-Encoding", "br")), pieces=(b"not brotli" * 9,)),
            BrokenFault,
        ),
        (
            Reply(
                headers=(JSON, ("Transfer-Encoding", "chunked")),
                pieces=(b"zz\r\n",),
                framing=Framing.close,
            ),
            BrokenFault,
        ),
    ],
)
async def test_every_way_to_fail_is_a_fault(
    client: AiohttpClient, upstream: FaultUpstream, reply: Reply, fault: type[UpstreamFault]
) -> None:
    """Whatever an upstream sends, nothing but faults comes out, and the next call works."""
    upstream.script(reply)
    with pytest.raises(fault) as caught:
        await answer_of(client, upstream.url)
    assert str(upstream.port) not in str(caught.value)
    assert b"scripted" in await answer_of(client, upstream.url)


@pytest.mark.parametrize("offset", range(0, 160, 7))
async def test_a_cut_at_any_byte_is_a_fault(
    client: AiohttpClient, upstream: FaultUpstream, offset: int
) -> None:
    upstream.script(replies.cut_at_byte(replies.ok_json(), offset))
    with pytest.raises(UpstreamFault):
        await answer_of(client, upstream.url)


async def test_nobody_listening_is_said_to_have_cost_nothing(client: AiohttpClient) -> None:
    with pytest.raises(UnreachableFault) as caught:
        await client.send(call_to(replies.refused_url()))
    assert not caught.value.may_have_run


async def test_a_connection_that_is_not_taken_up_ends_in_time(client: AiohttpClient) -> None:
    """A blackhole: the kernel's queue is full, so the handshake gets no answer."""
    listener = await asyncio.get_running_loop().run_in_executor(None, _full_listener)
    try:
        began = time.monotonic()
        with pytest.raises(UnreachableFault) as caught:
            await client.send(
                call_to(f"http://127.0.0.1:{listener[0].getsockname()[1]}", connect_s=0.3)
            )
        assert time.monotonic() - began < 3
        assert not caught.value.may_have_run
    finally:
        for each in listener:
            each.close()


def _full_listener() -> list[Any]:
    import socket

    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    waiting = [server]
    for _ in range(4):
        other = socket.socket()
        other.setblocking(False)
        other.connect_ex(server.getsockname())
        waiting.append(other)
    return waiting


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_public_upstream_inside_the_network_is_not_called(
    client: AiohttpClient, upstream: FaultUpstream, host: str
) -> None:
    url = upstream.url.replace("127.0.0.1", host)
    with pytest.raises(UnreachableFault, match="allow_private") as caught:
        await client.send(call_to(url, allows_private=False))
    assert not caught.value.may_have_run
    assert upstream.connections == 0


async def test_redirects_are_answers_and_not_followed(
    client: AiohttpClient, upstream: FaultUpstream
) -> None:
    upstream.script(replies.redirect(f"{upstream.url}/secret"))
    reply = await client.send(call_to(upstream.url))
    assert reply.status == 307
    reply.close()
    assert len(upstream.calls) == 1


async def test_packed_answers_are_unpacked(client: AiohttpClient, upstream: FaultUpstream) -> None:
    body = orjson.dumps(replies.chat_document())
    upstream.script(
        Reply(headers=(JSON, ("Content-Encoding", "gzip")), pieces=(gzip.compress(body),))
    )
    assert await answer_of(client, upstream.url) == body


@pytest.mark.parametrize("framing", [Framing.length, Framing.chunked])
async def test_a_packed_bomb_is_stopped_at_the_limit(
    client: AiohttpClient, upstream: FaultUpstream, framing: Framing
) -> None:
    """Its Content-Length is small; what counts is what it unpacks to."""
    bomb = gzip.compress(b" " * 200_000_000)
    upstream.script(
        Reply(headers=(JSON, ("Content-Encoding", "gzip")), pieces=(bomb,), framing=framing)
    )
    tracemalloc.start()
    try:
        with pytest.raises(BrokenFault, match="larger than"):
            await answer_of(client, upstream.url, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("framing", [Framing.length, Framing.chunked, Framing.close])
async def test_the_limit_is_a_limit_however_the_body_is_framed(
    client: AiohttpClient, upstream: FaultUpstream, framing: Framing
) -> None:
    fits = Reply(headers=(JSON,), pieces=(b"x" * 1000,), framing=framing)
    upstream.script(fits, fits)
    assert await answer_of(client, upstream.url, 1000) == b"x" * 1000
    with pytest.raises(BrokenFault, match="larger than 999"):
        await answer_of(client, upstream.url, 999)


async def test_a_stream_arrives_as_it_is_sent(
    client: AiohttpClient, upstream: FaultUpstream
) -> None:
    events = [replies.frame(each) for each in replies.chat_events()]
    upstream.script(replies.ok_stream(delay_s=0.02))
    reply = await client.send(call_to(upstream.url))
    arrived = [part async for part in reply.chunks()]
    assert b"".join(arrived) == b"".join(events)
    assert len(arrived) > 1
    reply.close()


async def test_endless_interim_answers_and_headers_are_bounded_in_memory(
    client: AiohttpClient, upstream: FaultUpstream
) -> None:
    line = b"x-a: " + b"b" * 60 + b"\r\n"
    for head, piece in ((b"HTTP/1.1 200 OK\r\n", line), (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")):
        upstream.script(
            Reply(raw_head=head, pieces=(piece * 500,), is_endless=True, framing=Framing.close)
        )
        tracemalloc.start()
        with pytest.raises((UpstreamFault, TimeoutError)):
            async with asyncio.timeout(1):
                await client.send(call_to(upstream.url))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 150_000_000, "one reading's worth, not all there is"


async def test_headers_that_are_not_text_break_no_call(
    client: AiohttpClient, upstream: FaultUpstream
) -> None:
    headers = CIMultiDict({"x-name": "caf\udce9"})
    reply = await client.send(call_to(upstream.url, headers=headers))
    reply.close()
    assert upstream.calls[0].headers["x-name"].startswith("caf")
