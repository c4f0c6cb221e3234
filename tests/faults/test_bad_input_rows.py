"""Hostile content and addresses, over raw sockets: one answer each, and the gateway lives (B4)."""

import pytest

from tests.fault_upstream import FaultUpstream
from tests.faults.bad_input_rows import GOOD, INPUT_ROWS, PATH_TRICKS, InputRow
from tests.faults.sockets import RawCaller, raw_request
from tests.proxy_gateway import API_KEY, ProxyGateway


@pytest.mark.parametrize("row", INPUT_ROWS, ids=lambda row: row.name)
async def test_each_content_gets_its_answer_and_the_gateway_lives(
    gateway: ProxyGateway, upstream: FaultUpstream, row: InputRow
) -> None:
    caller = await RawCaller.to(gateway)
    caller.send(row.request)
    answer = await caller.answer()
    assert answer.status == row.status
    assert row.status == 200 or answer.code == row.code
    assert len(upstream.calls) == row.calls
    [end] = gateway.ends()
    assert end["outcome"] == ("ok" if row.status == 200 else "refused")
    caller.leave()
    again = await RawCaller.to(gateway)
    again.send(raw_request(GOOD))
    assert (await again.answer()).status == 200
    again.leave()


@pytest.mark.parametrize("path", PATH_TRICKS)
async def test_no_writing_of_a_path_gets_past_the_key(
    gateway: ProxyGateway, upstream: FaultUpstream, path: str
) -> None:
    """The verdict on a caller is the route's own, whatever Host and forwarding headers say."""
    request = raw_request(
        GOOD, "X-Original-URL: /health", "X-Forwarded-Prefix: /health", "X-Rewrite-URL: /health"
    ).replace(b"/v1/chat/completions", path.encode(), 1)
    caller = await RawCaller.to(gateway)
    caller.send(
        request.replace(API_KEY.encode(), b"nobody's").replace(b"Host: gateway", b"Host: health")
    )
    answer = await caller.answer()
    assert (answer.status, answer.code) == (401, "invalid_api_key")
    assert upstream.calls == []
    assert gateway.ends() == []
    caller.leave()
