"""Which answers may be given again, and to whom: origins, end users, purges, odd upstreams."""

import asyncio
from typing import Any

import openai
import orjson
import pytest
from aiohttp import ClientSession

from policies.snapshot import Target
from roles.bus_server import BusServer
from tests import fault_replies as replies
from tests.fault_replies import ANSWER
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import CACHED, HELLO, delayed, get, post, treated_user
from tests.proxy_gateway import ProxyGateway

BOTH = CACHED | {"model": "gpt-4o"}


@pytest.mark.parametrize("is_streaming", [False, True], ids=["document", "stream"])
async def test_the_answer_of_a_failover_target_is_not_kept(
    gateway: ProxyGateway,
    session: ClientSession,
    upstream: FaultUpstream,
    second: FaultUpstream,
    is_streaming: bool,
) -> None:
    """It came from another model than the one that was asked for."""
    body = BOTH | {"user": treated_user(gateway), "stream": is_streaming}
    good = replies.ok_stream() if is_streaming else replies.ok_json()
    upstream.script(replies.http_error(500), replies.http_error(500))
    upstream.fallback = second.fallback = good
    caches, models = [], []
    for _ in range(3):
        status, headers, _ = await post(session, gateway, body)
        assert status == 200
        caches.append(headers["x-apex-cache"])
        models.append(len(second.calls))
    assert caches == ["miss", "miss", "hit"]
    assert models == [1, 1, 1]


async def test_a_model_that_moved_is_asked_again(
    gateway: ProxyGateway, session: ClientSession, bus: BusServer, second: FaultUpstream
) -> None:
    body = CACHED | {"user": treated_user(gateway)}
    assert [await cache_of(session, gateway, body) for _ in range(2)] == ["miss", "hit"]
    gateway.write_snapshot(2, models={"gpt-4o-mini": (Target("second", "house"),)})
    bus.announce_snapshot(2)

    async def has_arrived() -> bool:
        _, _, document = await get(session, gateway, "/health/ready")
        return bool(orjson.loads(document)["dependencies"]["snapshot"]["number"] == 2)

    await wait_until(has_arrived)
    assert [await cache_of(session, gateway, body) for _ in range(2)] == ["miss", "hit"]
    assert [call.json()["model"] for call in second.calls] == ["house"]


async def test_a_purge_reaches_answers_that_are_still_in_the_air(
    gateway: ProxyGateway, session: ClientSession, bus: BusServer, upstream: FaultUpstream
) -> None:
    body = CACHED | {"user": treated_user(gateway)}
    upstream.script(delayed(replies.ok_json(), 0.4))
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(cache_of(session, gateway, body))
        await upstream.wait_for_calls(1)
        removed = await bus.purge(None)
        assert not call.done()
    assert (removed, call.result()) == ((0, 1), "miss")
    assert await cache_of(session, gateway, body) == "miss"
    assert await bus.purge(None) == (1, 1)


@pytest.mark.parametrize("name", ["user", "safety_identifier"])
@pytest.mark.parametrize("value", [1, True, ["a"], {"a": 1}], ids=repr)
async def test_who_a_call_is_for_must_be_text(
    gateway: ProxyGateway, session: ClientSession, upstream: FaultUpstream, name: str, value: Any
) -> None:
    """Anything else would put two end users into one scope."""
    status, _, body = await post(session, gateway, CACHED | {name: value})
    error = orjson.loads(body)["error"]
    assert (status, error["code"], error["param"]) == (400, "invalid_request", name)
    assert upstream.calls == []
    assert [end["outcome"] for end in gateway.ends()] == ["refused"]


async def test_end_users_never_share_whatever_field_names_them(
    gateway: ProxyGateway, session: ClientSession, upstream: FaultUpstream
) -> None:
    app = CACHED | {"user": treated_user(gateway)}
    people: list[dict[str, Any]] = [
        {},
        {"safety_identifier": "alice"},
        {"safety_identifier": "bob"},
    ]
    for expected in ("miss", "hit"):
        for person in people:
            assert await cache_of(session, gateway, app | person) == expected
    assert len(upstream.calls) == len(people)


async def test_a_stream_that_nobody_asked_for_is_cured_by_a_retry(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    upstream.script(replies.ok_stream(), replies.ok_json())
    answer = await client.chat.completions.create(**HELLO)
    assert answer.choices[0].message.content == ANSWER
    first, last = gateway.ends()
    assert (first["outcome"], first["usage_source"]) == ("upstream_error", "unknown")
    assert (last["outcome"], last["is_final"]) == ("ok", True)


async def cache_of(session: ClientSession, gateway: ProxyGateway, body: dict[str, Any]) -> str:
    status, headers, _ = await post(session, gateway, body)
    assert status == 200
    return headers["x-apex-cache"]
