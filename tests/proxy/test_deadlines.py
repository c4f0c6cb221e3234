"""Who may end a call, and when: the caller's timeout, the operator's deadlines, slow readers."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from config.operator import Limits, Timeouts
from policies.model import Policy
from policies.snapshot import Target
from tests import fault_replies as replies
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import CACHED, HELLO, delayed, get, lone, open_call, post
from tests.proxy_gateway import OTHER_KEY, ProxyGateway, local_upstream

STREAMED = HELLO | {"stream": True}
ONE_PLACE = Limits(max_concurrent_requests=1, max_concurrent_per_key=1)
IDLE_S = 0.4
# The total is far away: whatever ends within seconds was ended by idle_s.
PATIENT = Timeouts(connect_s=1, first_token_s=5, idle_s=IDLE_S, total_s=60, stream_headers_s=5)
SMALL_BUFFER = 4096
ALWAYS_CACHED = Policy.model_validate(
    {"name": "cached", "rules": [{"name": "all", "cache": {"when": "always"}}]}
)


# --- the caller's own timeout


async def test_a_callers_read_timeout_does_not_cut_a_healthy_stream(
    gateway: ProxyGateway, session: ClientSession, upstream: FaultUpstream
) -> None:
    """It bounds the pause between two bytes, not the answer."""
    upstream.script(replies.ok_stream(replies.chat_events(["a"] * 6), delay_s=0.1))
    _, _, body = await post(session, gateway, STREAMED, x_stainless_read_timeout="0.3")
    assert body.count(b'"content":"a"') == 6
    assert body.endswith(b"data: [DONE]\n\n")
    assert [end["outcome"] for end in gateway.ends()] == ["ok"]


async def test_callers_in_haste_do_not_take_an_upstream_from_others(
    gateway: ProxyGateway, session: ClientSession, upstream: FaultUpstream
) -> None:
    upstream.script(*[delayed(replies.ok_json(), 2.0)] * 8)
    for _ in range(8):
        status, _, _ = await post(session, gateway, HELLO, x_stainless_read_timeout="0.06")
        assert status == 504
    await upstream.wait_for_calls(8)
    bearer = f"Bearer {OTHER_KEY}"
    status, _, _ = await post(session, gateway, HELLO, Authorization=bearer)
    assert status == 200
    _, _, ready = await get(session, gateway, "/health/ready")
    assert orjson.loads(ready)["dependencies"]["upstreams"]["open_breakers"] == []
    assert [end["outcome"] for end in gateway.ends()] == ["upstream_timeout"] * 8 + ["ok"]


async def test_no_fallback_is_asked_once_time_is_up(
    tmp_path: Path, session: ClientSession, upstream: FaultUpstream, second: FaultUpstream
) -> None:
    """Its answer would come too late, and be paid for."""
    upstream.fallback = replies.silence()
    upstreams = {
        "first": local_upstream("first", upstream.url),
        "second": local_upstream("second", second.url),
    }
    models = {"gpt-4o-mini": (Target("first", "gpt-4o-mini"), Target("second", "house"))}
    timeouts = Timeouts(connect_s=0.5, first_token_s=0.5, idle_s=0.5, total_s=0.5)
    async with ProxyGateway(tmp_path, upstreams, models=models, timeouts=timeouts) as gateway:
        status, _, _ = await post(session, gateway, HELLO)
        assert status == 504
        [end] = gateway.ends()
        assert (end["upstream"], end["outcome"]) == ("first", "upstream_timeout")
        assert second.calls == []


# --- callers who do not read


async def is_served(session: ClientSession, gateway: ProxyGateway) -> bool:
    status, _, _ = await post(session, gateway, HELLO)
    return status == 200


async def expect_the_place_is_freed(
    gateway: ProxyGateway, session: ClientSession, body: dict[str, Any]
) -> None:
    """Ask, read nothing, and wait until another is served in the only place there is."""
    reader, writer = await open_call(gateway, body, receive_buffer_bytes=SMALL_BUFFER)
    loop = asyncio.get_running_loop()
    await wait_until(lambda: bool(gateway.events()))
    began = loop.time()
    await wait_until(lambda: is_served(session, gateway), IDLE_S * 10, "the place is freed")
    assert loop.time() - began > IDLE_S * 0.5, "the caller was given no time at all"
    async with asyncio.timeout(5):
        rest = await reader.read(-1)
    assert b"[DONE]" not in rest, "what is cut must not look complete"
    assert not rest.endswith(b"0\r\n\r\n")
    writer.close()


async def test_a_slow_reader_of_a_relayed_stream_ends_as_one_who_left(
    tmp_path: Path, session: ClientSession, upstream: FaultUpstream
) -> None:
    """Nor is the whole stream read for him: an endless one would fill the memory."""
    upstream.script(replies.ok_stream(replies.chat_events(["x" * 50_000])[:2], is_endless=True))
    async with lone(
        tmp_path, upstream, limits=ONE_PLACE, timeouts=PATIENT, send_buffer_bytes=SMALL_BUFFER
    ) as gateway:
        await expect_the_place_is_freed(gateway, session, STREAMED)
        first = next(end for end in gateway.ends() if end["outcome"] != "refused")
        assert (first["outcome"], first["usage_source"]) == ("client_closed", "unknown")
        left = await upstream.wait_for_leaving()
        assert left.sent_bytes < 32_000_000
        gateway.check_conservation()


@pytest.mark.parametrize("events", [40, 9], ids=["large", "buffered"])
async def test_a_slow_reader_of_a_hit_is_cut(
    tmp_path: Path, session: ClientSession, upstream: FaultUpstream, events: int
) -> None:
    """The smaller one fits into buffers but for the end: waiting to write that must end, too."""
    upstream.script(replies.ok_stream(replies.chat_events(["x" * 10_000] * events)))
    async with lone(
        tmp_path,
        upstream,
        limits=ONE_PLACE,
        timeouts=PATIENT,
        policy=ALWAYS_CACHED,
        send_buffer_bytes=SMALL_BUFFER,
    ) as gateway:
        body = CACHED | {"stream": True}
        status, _, _ = await post(session, gateway, body)
        assert status == 200
        await expect_the_place_is_freed(gateway, session, body)
        hit = gateway.ends()[1]
        assert (hit["cache"], hit["usage_source"]) == ("hit", "cache")
        gateway.check_conservation()
