"""A proxy that is asked to stop: open requests end, kept connections close, readiness says no."""

import asyncio
from pathlib import Path

import aiohttp
import orjson

from config.operator import Limits
from tests import fault_replies as replies
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import HELLO, delayed, get, lone, post
from tests.proxy_gateway import ProxyGateway

PATIENT = Limits(drain_s=20)


async def test_open_requests_end_and_kept_connections_are_told(
    tmp_path: Path, session: aiohttp.ClientSession, upstream: FaultUpstream
) -> None:
    upstream.script(delayed(replies.ok_json(), 1.0))
    loop = asyncio.get_running_loop()
    async with lone(tmp_path, upstream, limits=PATIENT) as gateway, asyncio.TaskGroup() as tasks:
        await get(session, gateway, "/health/ready")  # a connection that is kept
        async with aiohttp.ClientSession() as other:
            call = tasks.create_task(post(other, gateway, HELLO))
            await upstream.wait_for_calls(1)
            gateway.begin_stop()

            async def is_draining() -> bool:
                status, _, document = await get(session, gateway, "/health/ready")
                return status == 503 and bool(orjson.loads(document)["status"] == "draining")

            await wait_until(is_draining)
            status, headers, _ = await post(session, gateway, HELLO)
            assert (status, headers["Connection"]) == (200, "close")
            assert not call.done()
            status, headers, _ = await call
            assert (status, headers["Connection"]) == (200, "close")
            began = loop.time()
            await gateway.wait_for_end()
            assert loop.time() - began < 5
        assert [end["outcome"] for end in gateway.ends()] == ["ok", "ok"]
        gateway.check_conservation()


async def test_busy_clients_on_kept_connections_do_not_hold_up_the_end(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    """There is always a request open: only closing their connections ever empties the gate."""
    upstream.fallback = delayed(replies.ok_json(), 0.1)
    served: list[int] = []
    async with lone(tmp_path, upstream, limits=PATIENT) as gateway:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(ask_until_refused(gateway, served))
            await wait_until(lambda: len(served) >= 12)
            gateway.begin_stop()
            async with asyncio.timeout(15):  # less than waiting for an idle moment would take
                await gateway.wait_for_end()
        assert set(served) == {200}
        gateway.check_conservation()


async def ask_until_refused(gateway: ProxyGateway, served: list[int]) -> None:
    """Call again and again over one connection, until no new one is to be had."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        while True:
            try:
                status, _, _ = await post(session, gateway, HELLO)
            except aiohttp.ClientConnectorError:
                return
            served.append(status)
