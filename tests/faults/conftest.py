"""What the tests of callers' faults share: they run on uvloop, the loop the product runs on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import openai
import pytest
import uvloop

from tests.fault_upstream import FaultUpstream
from tests.faults.observing import ALWAYS_CACHED
from tests.faults.row import PATIENT
from tests.gateway import wait_until
from tests.proxy.calls import lone
from tests.proxy_gateway import API_KEY, ProxyGateway


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of this folder on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as server:
        yield server


@pytest.fixture
async def gateway(tmp_path: Path, upstream: FaultUpstream) -> AsyncIterator[ProxyGateway]:
    """One upstream, deadlines far away, everything cached. Checks conservation last."""
    async with lone(tmp_path, upstream, policy=ALWAYS_CACHED, timeouts=PATIENT) as running:
        yield running
        await wait_until(lambda: len(running.ends()) * 2 == len(running.events()))
        running.check_conservation()


@pytest.fixture
async def client(gateway: ProxyGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=gateway.base_url, api_key=API_KEY, max_retries=0, timeout=20
    ) as made:
        yield made
