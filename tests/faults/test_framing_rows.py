"""Requests whose framing is broken or means two things, over raw sockets (B4)."""

import asyncio
import logging

import pytest

from tests.fault_upstream import FaultUpstream
from tests.faults.framing_rows import BODY, FRAMING_ROWS, HOST, KEY, FramingRow
from tests.faults.sockets import RawCaller
from tests.proxy_gateway import API_KEY, ProxyGateway

SMUGGLED = b"GET /v1/models HTTP/1.1\r\n" + HOST + KEY + b"\r\n"
IDS = [row.name for row in FRAMING_ROWS]


async def send(caller: RawCaller, row: FramingRow, way: str) -> None:
    """Send a request and another behind it; in its way what is refused by its head goes alone.

    A connection that is closed before all was read is reset, which may take the answer with it.
    """
    if way == "whole":
        # Of another version the parser takes no second request, and says so in another way.
        caller.send(row.request + (b"" if row.status == 505 else SMUGGLED))
        return
    head, mark, body = row.request.partition(b"\r\n\r\n")
    caller.send(head + mark)
    if row.has_good_head or row.status == 200:
        await asyncio.sleep(0.01)  # a segment of its own
        caller.send(body + SMUGGLED)


@pytest.mark.parametrize("way", ["whole", "head first"])
@pytest.mark.parametrize("row", FRAMING_ROWS, ids=IDS)
async def test_what_means_two_things_is_refused_and_nothing_follows_it(
    gateway: ProxyGateway,
    upstream: FaultUpstream,
    caplog: pytest.LogCaptureFixture,
    row: FramingRow,
    way: str,
) -> None:
    """What follows a good request is served, what follows a refused one is not."""
    caplog.set_level(logging.DEBUG)
    caller = await RawCaller.to(gateway)
    await send(caller, row, way)
    answer = await caller.answer()
    assert answer.status == row.status
    if row.status == 200:
        assert (await caller.answer()).body.startswith(b'{"object":"list"')
        assert [call.body for call in upstream.calls] == [BODY]
        caller.leave()
        return
    assert answer.code
    assert await caller.rest() == b"", "what follows a refused request is not one"
    assert upstream.calls == []
    assert API_KEY not in caplog.text
    assert API_KEY.encode() not in answer.body
