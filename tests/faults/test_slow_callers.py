"""Callers who send slowly or do not read: bounded, and nobody else's trouble (B4)."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from config.operator import Timeouts
from proxy import intake, strict_server
from tests import fault_replies as replies
from tests.fault_replies import ANSWER
from tests.fault_upstream import FaultUpstream
from tests.faults.sockets import RawCaller, request_of
from tests.gateway import wait_until
from tests.proxy.calls import HELLO, lone, open_call
from tests.proxy_gateway import API_KEY, ProxyGateway

DEADLINE_S = 0.4
STREAMED = HELLO | {"stream": True}
SMALL_BUFFER = 4096
OTHERS = 30
MOST_ALLOCATED_BYTES = 16_777_216  # by gateway, upstream and callers; the stream has no end


@pytest.fixture
def traced() -> Iterator[None]:
    """Count what Python allocates."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def is_dripping(caller: RawCaller, drops: bytes) -> bool:
    """Send a byte at a time until there is an answer or an end; whether all could be sent."""
    for drop in drops:
        caller.send(bytes([drop]))
        await asyncio.sleep(DEADLINE_S / 10)
        if caller.reader.at_eof() or caller.writer.is_closing():
            return False
    return True


async def test_a_head_that_drips_is_cut(
    gateway: ProxyGateway,
    client: openai.AsyncOpenAI,
    upstream: FaultUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(strict_server, "HEAD_DEADLINE_S", DEADLINE_S)
    callers = [await RawCaller.to(gateway) for _ in range(OTHERS)]
    endless = b"POST /v1/chat/completions HTTP/1.1\r\nX-Slow: " + b"a" * 200
    async with asyncio.TaskGroup() as tasks:
        drips = [tasks.create_task(is_dripping(caller, endless)) for caller in callers]
        answer = await client.chat.completions.create(**HELLO)
    assert answer.choices[0].message.content == ANSWER
    assert not any(drip.result() for drip in drips)
    assert len(upstream.calls) == 1
    assert len(gateway.ends()) == 1, "what was never a request is not recorded as one"


async def test_an_idle_connection_may_wait_longer_than_a_head(
    gateway: ProxyGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline begins with a head's first byte, and ends with its last."""
    monkeypatch.setattr(strict_server, "HEAD_DEADLINE_S", DEADLINE_S)
    caller = await RawCaller.to(gateway)
    request = request_of(HELLO)
    for cut in (5, 60):
        await asyncio.sleep(DEADLINE_S * 1.5)
        caller.send(request[:cut])
        await asyncio.sleep(DEADLINE_S / 4)
        caller.send(request[cut:])
        assert (await caller.answer()).status == 200
    caller.leave()


async def test_a_body_that_drips_is_refused(
    gateway: ProxyGateway, upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BODY_DEADLINE_S", DEADLINE_S)
    request = request_of(HELLO)
    caller = await RawCaller.to(gateway)
    caller.send(request[:-5])
    answer = await caller.answer()
    assert (answer.status, answer.code) == (408, "request_timeout")
    [end] = gateway.ends()
    assert (end["outcome"], end["error_code"]) == ("refused", "request_timeout")
    assert upstream.calls == []
    caller.leave()


@pytest.mark.usefixtures("traced")
async def test_a_slow_reader_holds_its_upstream_back_and_nobody_else(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    """What it does not take is not read for it: memory stays bounded, others are served."""
    event = replies.chat_events(["x" * 50_000])[:2]
    upstream.script(replies.ok_stream(event, is_endless=True))
    timeouts = Timeouts(connect_s=5, first_token_s=30, idle_s=30, total_s=60)
    async with lone(
        tmp_path, upstream, timeouts=timeouts, send_buffer_bytes=SMALL_BUFFER
    ) as gateway:
        _, writer = await open_call(gateway, STREAMED, receive_buffer_bytes=SMALL_BUFFER)
        await wait_until(lambda: bool(upstream.calls))
        async with openai.AsyncOpenAI(
            base_url=gateway.base_url, api_key=API_KEY, max_retries=0, timeout=20
        ) as client:
            calls = [client.chat.completions.create(**HELLO) for _ in range(OTHERS)]
            answers = await asyncio.gather(*calls)
        assert {answer.choices[0].message.content for answer in answers} == {ANSWER}
        sent_bytes = upstream.calls[0].sent_bytes
        await asyncio.sleep(0.2)
        assert upstream.calls[0].sent_bytes == sent_bytes, "the upstream is held back"
        assert tracemalloc.get_traced_memory()[1] < MOST_ALLOCATED_BYTES
        writer.transport.abort()
        await upstream.wait_for_leaving()
        await wait_until(lambda: len(gateway.ends()) == OTHERS + 1)
        assert gateway.ends()[-1]["outcome"] == "client_closed"
        gateway.check_conservation()
