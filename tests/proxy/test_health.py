"""What a proxy says about itself, over its own socket: alive, ready, degraded, draining."""

import errno
import os
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from roles.bus_server import BusServer
from tests import fault_replies as replies
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import HELLO, get, post
from tests.proxy_gateway import ProxyGateway


async def ready(session: ClientSession, gateway: ProxyGateway) -> tuple[int, Any]:
    status, _, document = await get(session, gateway, "/health/ready")
    return status, orjson.loads(document)


async def test_liveness_needs_no_key_and_no_control_process(
    gateway: ProxyGateway, session: ClientSession
) -> None:
    status, headers, document = await get(session, gateway, "/health")
    assert (status, orjson.loads(document)) == (200, {"status": "ok", "role": "proxy"})
    assert headers["Content-Type"].startswith("application/json")


async def test_without_control_it_is_degraded_and_ready(
    gateway: ProxyGateway, session: ClientSession
) -> None:
    """It serves from its snapshot and its log: nobody should take it out of rotation."""
    status, document = await ready(session, gateway)
    assert (status, document["status"]) == (200, "degraded")
    dependencies = document["dependencies"]
    assert set(dependencies) == {
        "snapshot",
        "control",
        "kv",
        "usage_log",
        "upstreams",
        "translations",
    }
    assert dependencies["kv"] == {"status": "ok"}
    assert dependencies["control"] == {"status": "away"}
    assert dependencies["snapshot"]["number"] == 1
    assert dependencies["snapshot"]["age_s"] > 0
    assert dependencies["usage_log"] == {"status": "ok", "write_failures": 0}
    assert dependencies["upstreams"] == {"status": "ok", "open_breakers": []}


async def test_with_control_all_is_well(
    gateway: ProxyGateway, session: ClientSession, bus: BusServer
) -> None:
    assert bus.proxies == [{"index": 0, "pid": os.getpid()}]
    status, document = await ready(session, gateway)
    assert (status, document["status"]) == (200, "ok")
    assert {each["status"] for each in document["dependencies"].values()} == {"ok"}
    await bus.stop()

    async def is_away() -> bool:
        _, document = await ready(session, gateway)
        return bool(document["status"] == "degraded")

    await wait_until(is_away)


async def test_an_upstream_left_alone_is_named_and_one_that_was_removed_is_not(
    gateway: ProxyGateway, session: ClientSession, bus: BusServer, upstream: FaultUpstream
) -> None:
    upstream.fallback = replies.http_error(500)
    for _ in range(2):  # three tries each
        await post(session, gateway, HELLO)
    status, document = await ready(session, gateway)
    assert (status, document["status"]) == (200, "degraded")
    found = document["dependencies"]["upstreams"]
    assert found == {"status": "degraded", "open_breakers": ["first"]}
    gateway.write_snapshot(2, upstreams={}, models={})
    bus.announce_snapshot(2)

    async def is_forgotten() -> bool:
        _, document = await ready(session, gateway)
        return bool(document["dependencies"]["upstreams"]["open_breakers"] == [])

    await wait_until(is_forgotten)


async def test_writes_that_went_wrong_are_counted(
    gateway: ProxyGateway, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def fail_once(_fd: int, _data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", fail_once)
    status, _, _ = await post(session, gateway, HELLO)
    assert status == 200
    _, document = await ready(session, gateway)
    assert document["dependencies"]["usage_log"]["write_failures"] == 1
