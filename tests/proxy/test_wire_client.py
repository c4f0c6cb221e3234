"""The fast client on real sockets: its pool, TLS, back-pressure, cancellation at every point."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from multidict import CIMultiDict
from yarl import URL

from proxy.upstream_client import BrokenFault, UnreachableFault, UpstreamFault
from proxy.wire_client import WireClient
from proxy.wire_exchange import MOST_BUFFERED_BYTES
from proxy.wire_request import head_bytes
from tests import fault_replies as replies
from tests.fault_replies import End, Framing, Reply
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.wire_peers import EMPTY_OK, LIMIT, Authority, Peer, answer_of, call_to, echo

ONE_READ_BYTES = 1 << 18  # the most a loop reads at once
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
on_both_loops = pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture
async def client() -> AsyncIterator[WireClient]:
    made = WireClient()
    yield made
    await made.close()


@pytest.fixture
def peer() -> Any:
    made = Peer()
    yield made
    made.close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that clients trust, as they would a company's."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


# --- the pool


@pytest.mark.parametrize(
    "reply",
    [
        replies.ok_json(),
        replies.ok_stream(),
        replies.http_error(429),
        Reply(status=204, raw_head=b"HTTP/1.1 204 No Content\r\n\r\n"),
        Reply(raw_head=b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY_OK),
        Reply(pieces=(bytes(1 << 19),)),
    ],
)
async def test_a_whole_answer_gives_its_connection_back(client: WireClient, reply: Reply) -> None:
    async with FaultUpstream(fallback=reply) as upstream:
        for _ in range(3):
            await answer_of(client, call_to(upstream.url))
            assert client.idle_connections == 1
        assert upstream.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        replies.not_http(),
        replies.cut_json(),
        replies.cut_stream(),
        replies.huge_headers(),
        replies.close_without_answer(),
        replies.reset(),
        Reply(pieces=(b"whole",), framing=Framing.close),
        Reply(pieces=(b"whole",), headers=(("Connection", "close"),)),
        Reply(raw_head=EMPTY_OK * 2),
        Reply(raw_head=EMPTY_OK + b"HTTP/1."),
        Reply(raw_head=EMPTY_OK + b"junk"),
        Reply(raw_head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Reply(raw_head=b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ],
)
async def test_no_other_answer_does(client: WireClient, reply: Reply) -> None:
    """Nor does anything of it reach the next exchange."""
    async with FaultUpstream() as upstream:
        upstream.script(reply)
        with suppress(UpstreamFault):
            assert await answer_of(client, call_to(upstream.url)) in {b"whole", b"ok"}
        assert client.idle_connections == 0
        assert b"scripted" in await answer_of(client, call_to(upstream.url))
        assert upstream.connections == 2


async def test_an_answer_larger_than_allowed_costs_its_connection(client: WireClient) -> None:
    async with FaultUpstream() as upstream:
        upstream.script(Reply(pieces=(bytes(LIMIT),), content_length=LIMIT * 2, end=End.silence))
        reply = await client.send(call_to(upstream.url))
        with pytest.raises(BrokenFault, match="larger than 1000"):
            await reply.read(1000)
        reply.close()
        await upstream.wait_for_leaving()
        assert client.idle_connections == 0


async def test_connections_are_shared_only_by_calls_of_one_origin(client: WireClient) -> None:
    async with FaultUpstream() as one, FaultUpstream() as two:
        await answer_of(client, call_to(one.url))
        await answer_of(client, call_to(two.url))
        with pytest.raises(UnreachableFault, match="allow_private"):
            await client.send(call_to(one.url, allows_private=False))
        assert (one.connections, two.connections, client.idle_connections) == (1, 1, 2)


async def test_calls_at_once_have_a_connection_each(client: WireClient) -> None:
    async with FaultUpstream(fallback=replies.ok_stream(delay_s=0.01)) as upstream:
        for _ in range(2):
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(answer_of(client, call_to(upstream.url)))
        assert upstream.connections == client.idle_connections == 20
    await wait_until(lambda: all(not each.is_usable for each in _idle(client)))


def _idle(client: WireClient) -> list[Any]:
    return [each for pool in client._pools.values() for each in pool.idle]  # noqa: SLF001


async def test_a_client_that_is_closed_keeps_nothing(client: WireClient) -> None:
    async with FaultUpstream() as upstream:
        await answer_of(client, call_to(upstream.url))
        reply = await client.send(call_to(upstream.url))
        await client.close()
        assert client.idle_connections == 0
        assert await reply.read(LIMIT)
        await answer_of(client, call_to(upstream.url))
        assert client.idle_connections == 0


@pytest.mark.parametrize(
    "extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"\r\n", b""]
)
async def test_what_a_pooled_connection_said_unasked_is_not_the_next_answer(
    client: WireClient, peer: Peer, extra: bytes
) -> None:
    """Nor is one that was closed meanwhile used: the loop itself has seen neither yet."""
    async with asyncio.TaskGroup() as group:
        first = group.create_task(answer_of(client, call_to(peer.url)))
        connection = await peer.accept()
        await peer.answer(connection)
    assert (first.result(), client.idle_connections) == (b"ok", 1)
    if extra:
        connection.sendall(extra)
    else:
        connection.shutdown(socket.SHUT_WR)
    async with asyncio.TaskGroup() as group:
        second = group.create_task(answer_of(client, call_to(peer.url)))
        await peer.answer(await peer.accept())
    assert second.result() == b"ok"


async def test_a_pooled_connection_that_dies_under_a_call_is_unreachable(
    client: WireClient, peer: Peer
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(answer_of(client, call_to(peer.url)))
        connection = await peer.accept()
        await peer.answer(connection)
    call = asyncio.gather(client.send(call_to(peer.url)), return_exceptions=True)
    await asyncio.get_running_loop().sock_recv(connection, 65_536)
    connection.close()
    (fault,) = await call
    assert isinstance(fault, UnreachableFault)
    assert fault.may_have_run
    assert client.idle_connections == 0


async def test_an_answer_before_the_end_of_its_request_costs_the_connection(
    client: WireClient, peer: Peer
) -> None:
    """What is left of the request would else come before the next one."""
    async with asyncio.TaskGroup() as group:
        first = group.create_task(answer_of(client, call_to(peer.url, bytes(50_000_000))))
        await peer.answer(await peer.accept())
    assert (first.result(), client.idle_connections) == (b"ok", 0)


async def test_a_request_that_cannot_be_written_opens_nothing(client: WireClient) -> None:
    async with FaultUpstream() as upstream:
        for value in ("a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"):
            headers = CIMultiDict({"x-a": value})
            with pytest.raises(ValueError, match="header"):
                await client.send(call_to(upstream.url, headers=headers))
        assert upstream.connections == 0


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example/v1/x?y=%20z", "a.example"),
        ("https://a.example:443/", "a.example"),
        ("http://a.example:8080/", "a.example:8080"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_the_host_is_named_as_servers_expect(url: str, host: str) -> None:
    lines = head_bytes(URL(url), CIMultiDict({"x-a": "caf\udce9"})).split(b"\r\n")
    assert lines[1:] == [
        f"Host: {host}".encode(),
        b"x-a: caf\xe9",
        b"",
    ]
    assert lines[0].split(b" ")[1].startswith(b"/")


# --- back-pressure and cancellation, on both kinds of transport


@on_both_loops
def test_an_endless_body_is_bounded_when_its_reader_is_slow(new_loop: NewLoop) -> None:
    """Fault row 16: counted in bytes, whatever the time."""

    async def scenario() -> None:
        client = WireClient()
        async with FaultUpstream(fallback=replies.endless_body()) as upstream:
            reply = await client.send(call_to(upstream.url))
            chunks = reply.chunks()
            for _ in range(5):
                await wait_until(lambda: reply.buffered_bytes > MOST_BUFFERED_BYTES)
                for _ in range(200):  # without a bound, each would bring more
                    await asyncio.sleep(0)
                assert reply.buffered_bytes <= MOST_BUFFERED_BYTES + ONE_READ_BYTES
                assert len(await anext(chunks)) <= MOST_BUFFERED_BYTES + ONE_READ_BYTES
            reply.close()
            await upstream.wait_for_leaving()
        await client.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


@on_both_loops
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_a_call_cancelled_at_any_point_leaves_nothing_behind(
    new_loop: NewLoop, is_tls: bool, authority: Authority
) -> None:
    tls = authority.server("localhost") if is_tls else None
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_cancel_calls(tls, most_ticks=2))  # the loop opens descriptors of its own
        before = runner.run(_descriptors())
        runner.run(_cancel_calls(tls, most_ticks=60))
        runner.run(wait_until(lambda: _has_at_most(before)))


async def _cancel_calls(tls: ssl.SSLContext | None, most_ticks: int) -> None:
    """Cancel two of four calls after every number of turns of the loop; the others see nothing."""
    client = WireClient()
    async with echo(tls) as state:
        url = f"{'https' if tls else 'http'}://localhost:{state[0]}/"
        for ticks in range(most_ticks):
            asked = [b"%d-%d" % (ticks, each) for each in range(4)]
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(answer_of(client, call_to(url, body))) for body in asked]
                for _ in range(ticks):
                    await asyncio.sleep(0)
                calls[0].cancel()
                calls[1].cancel()
            bodies = [None if call.cancelled() else call.result() for call in calls]
            assert bodies[2:] == asked[2:]
            assert all(got in {None, body} for got, body in zip(bodies, asked, strict=True))
            assert client.idle_connections <= 4
        await client.close()


async def _descriptors() -> int:
    """Count them while the loop runs: it has some only then."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def _has_at_most(descriptors: int) -> bool:
    return await _descriptors() <= descriptors
