"""The deadline of a call, which each client keeps by its own means: one contract for both."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop

from proxy.upstream_client import (
    LOOP_STEP_S,
    AiohttpClient,
    BrokenFault,
    TimeoutFault,
    UpstreamClient,
)
from proxy.wire_client import TICK_S, WireClient
from tests import fault_replies as replies
from tests.fault_replies import End, Framing, Reply
from tests.fault_upstream import FaultUpstream
from tests.proxy.wire_peers import LIMIT, Peer, call_to

SOON_S = 0.08
FAR_S = 60.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


@pytest.fixture(params=[WireClient, AiohttpClient])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[UpstreamClient]:
    made: UpstreamClient = request.param()
    yield made
    await made.close()


@pytest.fixture
def peer() -> Any:
    made = Peer()
    yield made
    made.close()


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_a_loops_time_is_the_monotonic_one(new_loop: Any) -> None:
    """Deadlines made from either are told apart by nobody."""
    with asyncio.Runner(loop_factory=new_loop) as runner:

        async def difference_s() -> float:
            await asyncio.sleep(0.01)
            return abs(asyncio.get_running_loop().time() - time.monotonic())

        assert runner.run(difference_s()) < 1.0


async def test_an_upstream_that_says_nothing_is_given_up_in_time(client: UpstreamClient) -> None:
    async with FaultUpstream(fallback=replies.silence()) as upstream:
        began = now()
        with pytest.raises(TimeoutFault) as told:
            await client.send(call_to(upstream.url, deadline=began + SOON_S))
        assert told.value.may_have_run
        assert now() >= began + SOON_S - LOOP_STEP_S
        await upstream.wait_for_leaving()


async def test_so_is_one_that_stops_in_the_middle(client: UpstreamClient, peer: Peer) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(client.send(call_to(peer.url, deadline=now() + SOON_S)))
        await peer.answer(await peer.accept(), HEAD + b"ab")
    reply = call.result()
    with pytest.raises(TimeoutFault):
        await reply.read(LIMIT)
    reply.close()
    assert await asyncio.get_running_loop().sock_recv(peer.accepted[0], 1) == b""


async def test_a_deadline_that_has_passed_lets_no_call_wait(client: UpstreamClient) -> None:
    async with FaultUpstream(fallback=replies.silence()) as upstream:
        for _ in range(2):
            with pytest.raises(TimeoutFault):
                await client.send(call_to(upstream.url, deadline=now() - 1))


async def test_it_bounds_the_making_of_a_connection_too(client: UpstreamClient, peer: Peer) -> None:
    """The peer takes the connection, but says nothing of TLS."""
    url = peer.url.replace("http:", "https:")
    with pytest.raises(TimeoutFault):
        await client.send(call_to(url, connect_s=FAR_S, deadline=now() + SOON_S))


async def test_who_reads_a_stream_may_move_it_both_ways(client: UpstreamClient, peer: Peer) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(client.send(call_to(peer.url, deadline=now() + SOON_S)))
        connection = await peer.accept()
        await peer.answer(connection, HEAD)
    reply = call.result()
    reply.deadline = now() + FAR_S
    await asyncio.sleep(SOON_S + 2 * TICK_S)
    chunks = reply.chunks()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, b"ab")
    assert await anext(chunks) == b"ab"
    reply.deadline = now() + SOON_S
    with pytest.raises(TimeoutFault):
        await anext(chunks)
    reply.close()


async def test_what_has_arrived_is_given_before_the_end_of_time(client: UpstreamClient) -> None:
    reply_of = Reply(pieces=(b"ab",), framing=Framing.close, end=End.silence)
    async with FaultUpstream(fallback=reply_of) as upstream:
        reply = await client.send(call_to(upstream.url, deadline=now() + SOON_S))
        chunks = reply.chunks()
        await asyncio.sleep(SOON_S * 2)
        assert await anext(chunks) == b"ab"
        with pytest.raises(TimeoutFault):
            await anext(chunks)
        reply.close()


async def test_an_answer_that_is_whole_has_no_deadline(client: UpstreamClient) -> None:
    async with FaultUpstream() as upstream:
        reply = await client.send(call_to(upstream.url, deadline=now() + FAR_S))
        body = await reply.read(LIMIT)
        reply.deadline = now() - 1
        assert b"scripted" in body
        reply.close()
        again = await client.send(call_to(upstream.url, deadline=now() + FAR_S))
        assert await again.read(LIMIT) == body
        again.close()
        assert upstream.connections == 1


async def test_one_calls_end_is_not_anothers() -> None:
    """They are looked after together; nothing is left to look after once all are over."""
    client = WireClient()
    async with FaultUpstream() as upstream:
        upstream.script(*[replies.silence()] * 3)
        upstream.fallback = replies.ok_json()
        lost = [client.send(call_to(upstream.url, deadline=now() + SOON_S)) for _ in range(3)]
        faults = await asyncio.gather(*lost, return_exceptions=True)
        assert [type(fault) for fault in faults] == [TimeoutFault] * 3
        for _ in range(3):
            reply = await client.send(call_to(upstream.url, deadline=now() + FAR_S))
            assert await reply.read(LIMIT)
            reply.close()
    await client.close()


async def test_a_broken_answer_is_no_late_one(client: UpstreamClient) -> None:
    async with FaultUpstream(fallback=replies.cut_json()) as upstream:
        reply = await client.send(call_to(upstream.url, deadline=now() + FAR_S))
        with pytest.raises(BrokenFault):
            await reply.read(LIMIT)
        reply.close()
