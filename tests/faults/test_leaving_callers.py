"""Callers who leave: before the headers, in the middle of a stream, during their upload (B3 13)."""

import asyncio
from typing import Any

import pytest

from tests import fault_replies as replies
from tests.fault_upstream import FaultUpstream
from tests.faults.sockets import RawCaller, request_of
from tests.gateway import wait_until
from tests.proxy.calls import CACHED
from tests.proxy_gateway import ProxyGateway

STREAMED = CACHED | {"stream": True}


async def expect_gone(gateway: ProxyGateway, outcome: str, usage: str) -> None:
    await wait_until(lambda: bool(gateway.ends()))
    [end] = gateway.ends()
    assert (end["outcome"], end["usage_source"], end["client_status"]) == (outcome, usage, 499)


async def expect_asked_again(
    gateway: ProxyGateway, upstream: FaultUpstream, body: dict[str, Any]
) -> None:
    """Nothing of the call that was left may answer the next one."""
    before = len(upstream.calls)
    upstream.fallback = replies.ok_stream() if body.get("stream") else replies.ok_json()
    caller = await RawCaller.to(gateway)
    caller.send(request_of(body, "Connection: close"))
    assert b"answer." in await caller.rest()
    assert len(upstream.calls) == before + 1


@pytest.mark.parametrize("body", [CACHED, STREAMED], ids=["document", "stream"])
async def test_a_caller_who_leaves_before_the_headers(
    gateway: ProxyGateway, upstream: FaultUpstream, body: dict[str, Any]
) -> None:
    upstream.fallback = replies.silence()
    caller = await RawCaller.to(gateway)
    caller.send(request_of(body))
    await upstream.wait_for_calls(1)
    caller.leave()
    await upstream.wait_for_leaving()
    await expect_gone(gateway, "client_closed", "unknown")
    await expect_asked_again(gateway, upstream, body)


async def test_a_caller_who_leaves_in_the_middle_of_a_stream(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    upstream.fallback = replies.silent_stream(2)
    caller = await RawCaller.to(gateway)
    caller.send(request_of(STREAMED))
    await caller.reader.readuntil(b"Scripted ")
    caller.leave()
    await upstream.wait_for_leaving()
    await expect_gone(gateway, "client_closed", "unknown")
    await expect_asked_again(gateway, upstream, STREAMED)


async def test_a_caller_who_leaves_during_the_upload(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    request = request_of(CACHED)
    caller = await RawCaller.to(gateway)
    caller.send(request[:-10])
    await asyncio.sleep(0.05)  # so that its first half is read as a request before it leaves
    caller.leave()
    await expect_gone(gateway, "client_closed", "none")
    assert upstream.calls == []
    await expect_asked_again(gateway, upstream, CACHED)


async def test_a_caller_who_leaves_during_the_upload_of_a_file(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    """A form streams through (its first MiB is looked into): the upstream sees it break off."""
    head = (
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.jsonl"\r\n\r\n'
    )
    lines = [
        b"POST /v1/files HTTP/1.1",
        b"Host: gateway",
        *request_of({}).split(b"\r\n")[2:3],
        b"Content-Type: multipart/form-data; boundary=b",
        b"Content-Length: 50000000",
    ]
    caller = await RawCaller.to(gateway)
    caller.send(b"\r\n".join([*lines, b"", b""]) + head + b"x" * 2_000_000)
    await wait_until(lambda: upstream.connections == 1)
    caller.leave()
    await expect_gone(gateway, "client_closed", "unknown")
    assert upstream.calls == [], "a call is counted when it is whole"
