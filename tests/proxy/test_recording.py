"""What the usage log says when things go wrong: full disks, replays, callers who leave, our faults.

Savings.md A11 and rows 6, 7 and 16 of the fault table, through the real proxy.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from config.operator import Limits
from policies.model import Policy
from roles.bus_server import BusServer
from tests import fault_replies as replies
from tests.fault_replies import Reply
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import AUTH, HELLO, QUICK, get, lone, open_call, post
from tests.proxy_gateway import ProxyGateway, local_upstream

STREAMED = HELLO | {"stream": True}
ONE_PLACE = Limits(max_concurrent_requests=1, max_concurrent_per_key=1)
FAILS_INSIDE = replies.ok_stream(
    [*replies.chat_events()[:2], 0.1, {"error": {"message": "theirs"}}]
)
ALL_HELD_OUT = Policy(name="held-out", holdout_share=1.0)


class Disk:
    """The disk under the usage log: while full it takes no END."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._write = os.write
        monkeypatch.setattr(os, "write", self._take)

    def _take(self, descriptor: int, data: bytes) -> int:
        if self.is_full and b'"kind":"end"' in data:
            raise OSError(28, "No space left on device")
        return self._write(descriptor, data)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


# --- a log that cannot be written


@pytest.mark.parametrize("reply", [replies.ok_json(), replies.bad_request()], ids=["ok", "400"])
@pytest.mark.parametrize("body", [HELLO, HELLO | {"model": "unheard-of"}], ids=["known", "unknown"])
async def test_places_are_given_back_when_the_log_fails(
    tmp_path: Path,
    upstream: FaultUpstream,
    session: ClientSession,
    disk: Disk,
    reply: Reply,
    body: dict[str, Any],
) -> None:
    upstream.fallback = reply
    async with lone(tmp_path, upstream, limits=ONE_PLACE) as gateway:
        disk.is_full = True
        for _ in range(3):
            status, _, answer = await post(session, gateway, body)
            error = orjson.loads(answer)["error"]
            assert (status, error["code"]) == (503, "usage_log_unwritable")
            assert "free space" in error["message"]
        disk.is_full = False
        upstream.fallback = replies.ok_json()
        status, _, _ = await post(session, gateway, HELLO)
        assert status == 200
        assert [end["outcome"] for end in gateway.ends()] == ["ok"]


async def test_a_log_that_fails_inside_a_stream_ends_it_with_an_error(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession, disk: Disk
) -> None:
    """The headers are out: a second head would be read as part of the answer."""
    upstream.fallback = replies.ok_stream()
    async with lone(tmp_path, upstream, limits=ONE_PLACE) as gateway:
        disk.is_full = True
        reader, writer = await open_call(gateway, STREAMED)
        async with asyncio.timeout(5):
            answer = await reader.read(-1)
        writer.close()
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"usage_log_unwritable" in answer
        assert b"[DONE]" not in answer
        assert answer.endswith(b"0\r\n\r\n")
        disk.is_full = False
        status, _, whole = await post(session, gateway, STREAMED)
        assert (status, whole.endswith(b"data: [DONE]\n\n")) == (200, True)


@pytest.mark.parametrize(
    "reply",
    [replies.silence(), replies.cut_stream(3), FAILS_INSIDE, replies.ok_stream()],
    ids=["silence", "cut", "error", "good"],
)
async def test_end_is_in_the_log_before_the_caller_sees_the_end(
    gateway: ProxyGateway, session: ClientSession, upstream: FaultUpstream, reply: Reply
) -> None:
    upstream.fallback = reply
    url = f"{gateway.base_url}/chat/completions"
    seen = []
    async with session.post(url, json=STREAMED, headers=AUTH) as answer:
        async for piece, _ in answer.content.iter_chunks():
            if b'"error"' in piece or b"[DONE]" in piece:
                seen.append([end["is_final"] for end in gateway.ends()])
    assert seen == [[True]]


# --- what an attempt may have cost


@pytest.mark.parametrize(
    ("reply", "source"),
    [
        (replies.close_without_answer(), "unknown"),
        (replies.reset(), "unknown"),
        (replies.html_200(), "unknown"),
        (replies.cut_json(), "unknown"),
        (replies.http_error(500), "none"),
        (replies.http_error(429, retry_after="60"), "none"),
        (replies.bad_request(), "none"),
    ],
    ids=["closed", "reset", "html", "cut", "500", "429", "400"],
)
async def test_what_may_have_run_is_not_free(
    gateway: ProxyGateway,
    session: ClientSession,
    upstream: FaultUpstream,
    reply: Reply,
    source: str,
) -> None:
    upstream.fallback = reply
    status, _, _ = await post(session, gateway, HELLO)
    assert status >= 400
    assert {end["usage_source"] for end in gateway.ends()} == {source}
    assert len(gateway.ends()) == len(upstream.calls)


async def test_a_call_that_was_never_sent_cost_nothing(
    tmp_path: Path, session: ClientSession
) -> None:
    upstreams = {"down": local_upstream("down", replies.refused_url())}
    async with ProxyGateway(tmp_path, upstreams, timeouts=QUICK) as gateway:
        status, _, _ = await post(session, gateway, HELLO)
        assert status == 502
        found = {(end["outcome"], end["usage_source"]) for end in gateway.ends()}
        assert found == {("upstream_unreachable", "none")}


# --- idempotent replays


@pytest.mark.parametrize("body", [HELLO, STREAMED], ids=["document", "stream"])
async def test_a_replay_by_idempotency_key_is_neither_cost_nor_saving(
    tmp_path: Path, upstream: FaultUpstream, session: ClientSession, body: dict[str, Any]
) -> None:
    """A holdout session that got something from the cache would no longer be one."""
    async with lone(tmp_path, upstream, policy=ALL_HELD_OUT) as gateway:
        for _ in range(2):
            status, headers, _ = await post(session, gateway, body, Idempotency_Key="order-17")
            assert status == 200
        assert len(upstream.calls) == 1
        assert headers["x-apex-cost-usd"] == headers["x-apex-gross-baseline-usd"] == "0"
        first, replayed = gateway.ends()
        assert (first["usage_source"], first["input_tokens"]) == ("provider", 9)
        assert (replayed["usage_source"], replayed["input_tokens"]) == ("none", 0)
        assert (replayed["arm"], replayed["hit_of"]) == ("holdout", first["request_id"])
        # The first asked the cache on behalf of the key; whatever it says, nothing was served.
        served = {"hit", "coalesced"}
        assert not [event for event in gateway.events() if event["cache"] in served]
        gateway.check_conservation()


async def test_no_store_takes_an_idempotency_key_out_of_effect(
    gateway: ProxyGateway, session: ClientSession, upstream: FaultUpstream
) -> None:
    keyed = {"Idempotency_Key": "order-17", "Cache_Control": "No-Store"}
    for _ in range(2):
        _, headers, _ = await post(session, gateway, HELLO, **keyed)
        assert headers["x-apex-cache"] == "bypass"
    assert len(upstream.calls) == 2


# --- leaving, and faults of ours


async def test_a_caller_who_leaves_during_a_back_off_changes_nothing_about_the_attempt(
    gateway: ProxyGateway, session: ClientSession, upstream: FaultUpstream
) -> None:
    upstream.fallback = replies.http_error(429, retry_after="2")

    async def is_backing_off() -> bool:
        _, _, metrics = await get(session, gateway, "/health/metrics")
        return b'"retry"} 1\n' in metrics

    _, writer = await open_call(gateway, HELLO)
    await wait_until(is_backing_off)
    writer.transport.abort()
    await wait_until(lambda: bool(gateway.ends()))
    [end] = gateway.ends()
    found = (end["outcome"], end["upstream_status"], end["error_code"], end["usage_source"])
    assert found == ("upstream_error", 429, "rate_limit_exceeded", "none")
    assert end["is_final"]


@pytest.mark.parametrize("body", [HELLO, STREAMED], ids=["document", "stream"])
async def test_a_fault_of_ours_is_recorded_and_named(
    gateway: ProxyGateway, session: ClientSession, bus: BusServer, body: dict[str, Any]
) -> None:
    """A snapshot without the tenants' policies stands for any error nobody thought of."""
    gateway.write_snapshot(2, policies={})
    bus.announce_snapshot(2)

    async def has_arrived() -> bool:
        _, _, document = await get(session, gateway, "/health/ready")
        return bool(orjson.loads(document)["dependencies"]["snapshot"]["number"] == 2)

    await wait_until(has_arrived)
    status, headers, answer = await post(session, gateway, body)
    assert (status, orjson.loads(answer)["error"]["code"]) == (500, "internal_error")
    [end] = gateway.ends(headers["x-apex-request-id"])
    found = (end["outcome"], end["client_status"], end["error_code"], end["usage_source"])
    assert found == ("internal_error", 500, "internal_error", "none")
