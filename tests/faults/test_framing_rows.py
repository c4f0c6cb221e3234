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


def pieces_of(request: bytes, way: str) -> list[bytes]:
    """Cut a request as the network may: not at all, or after the head."""
    head, mark, body = request.partition(b"\r\n\r\n")
    return [request] if way == "whole" else [head + mark, body]


@pytest.mark.parametrize("way", ["whole", "head first"])
@pytest.mark.parametrize("row", FRAMING_ROWS, ids=IDS)
async def test_what_means_two_things_is_refused_and_nothing_follows_it(
    gateway: ProxyGateway,
    upstream: FaultUpstream,
    caplog: pytest.LogCaptureFixture,
    row: FramingRow,
    way: str,
) -> None:
    """A second request behind each: served after a good one, and never after a refused one."""
    caplog.set_level(logging.DEBUG)
    caller = await RawCaller.to(gateway)
    for piece in pieces_of(row.request, way):
        caller.send(piece)
        await asyncio.sleep(0.01 if way != "whole" else 0)  # a segment of its own
    caller.send(SMUGGLED)
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
