"""A proxy between the official client and two scripted upstreams, for every test of the data plane.

These tests run on uvloop, the loop the product runs on: its transports differ from asyncio's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import aiohttp
import openai
import pytest
import uvloop

from policies.snapshot import Target
from roles.bus_server import BusServer
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import QUICK
from tests.proxy_gateway import API_KEY, ProxyGateway, local_upstream


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of this folder on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as server:
        yield server


@pytest.fixture
async def second() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as server:
        yield server


@pytest.fixture
async def gateway(
    tmp_path: Path, upstream: FaultUpstream, second: FaultUpstream
) -> AsyncIterator[ProxyGateway]:
    """Two upstreams: gpt-4o-mini has only the first, gpt-4o both. Checks conservation last."""
    upstreams = {
        "first": local_upstream("first", upstream.url),
        "second": local_upstream("second", second.url),
    }
    models = {
        "gpt-4o-mini": (Target("first", "gpt-4o-mini"),),
        "gpt-4o": (Target("first", "gpt-4o"), Target("second", "house-4o")),
        "text-embedding-3-small": (Target("first", "text-embedding-3-small"),),
    }
    async with ProxyGateway(
        tmp_path, upstreams, models=models, policy="balanced", timeouts=QUICK
    ) as running:
        yield running
        await wait_until(lambda: len(running.ends()) * 2 == len(running.events()))
        running.check_conservation()


@pytest.fixture
async def client(gateway: ProxyGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=gateway.base_url, api_key=API_KEY, max_retries=0, timeout=20
    ) as made:
        yield made


@pytest.fixture
async def bus(gateway: ProxyGateway) -> AsyncIterator[BusServer]:
    """The control process's end of the bus, with the gateway connected."""
    server = BusServer(gateway.home / "run" / "bus.sock")
    await server.start()
    await wait_until(lambda: bool(server.proxies))
    yield server
    await server.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made
