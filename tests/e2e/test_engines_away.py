"""PostgreSQL, ClickHouse and Redis stopped during load and at boot, each and all at once.

No call fails, no event is lost, readiness says what is away, and nothing is restarted.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from tests.gateway import ACME_CONFIG, Gateway, wait_until
from tests.servers.clickhouse import ClickHouse
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Redis

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
LIMITED = ACME_CONFIG.replace(
    "    keys:", "    limits: {requests_per_minute: 1000000}\n    keys:", 1
)


class Engines(NamedTuple):
    """The servers that a gateway shares with others."""

    sql: PostgreSQL
    columnar: ClickHouse
    kv: Redis


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    with PostgreSQL() as sql, ClickHouse() as columnar, Redis() as kv:
        yield Engines(sql, columnar, kv)


@pytest.fixture
async def gateway(tmp_path: Path, engines: Engines) -> AsyncIterator[Gateway]:
    environ = {
        "APEX_SQL_URL": engines.sql.make_database(),
        "APEX_COLUMNAR_URL": engines.columnar.url(await engines.columnar.make_database()),
        "APEX_KV_URL": engines.kv.url,
    }
    async with Gateway(tmp_path, config=LIMITED, environ=environ) as running:
        yield running


async def call(gateway: Gateway) -> int:
    headers = {"Authorization": f"Bearer {gateway.api_key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{gateway.base_url}/chat/completions", json=BODY) as reply,
    ):
        await reply.read()
        return reply.status


async def calls_until(gateway: Gateway, done: asyncio.Event) -> list[int]:
    statuses = []
    while not done.is_set():
        statuses.append(await call(gateway))
    return statuses


async def is_degraded(gateway: Gateway, names: set[str]) -> bool:
    """Whether readiness names these as away, and serves all the same."""
    status, document = await gateway.admin("/health/ready", token="")
    states = {name: each["status"] for name, each in document["dependencies"].items()}
    return status == 200 and all(states[name] == "degraded" for name in names)


async def count_requests(gateway: Gateway) -> int:
    status, usage = await gateway.admin("/admin/v1/usage?tenant=acme")
    assert status == 200, usage
    return int(usage["totals"]["requests"])


async def test_each_and_all_away_under_load_and_at_boot(gateway: Gateway, engines: Engines) -> None:
    done = asyncio.Event()
    pids = dict(gateway.pids)
    async with asyncio.TaskGroup() as tasks:
        calls = tasks.create_task(calls_until(gateway, done))
        for away in (["sql"], ["columnar"], ["kv"], ["sql", "columnar", "kv"]):
            for name in away:
                getattr(engines, name).server.kill()
            await wait_until(lambda: is_degraded(gateway, set(away) - {"kv"}), 30, str(away))  # noqa: B023
            for name in away:
                getattr(engines, name).start()
            await gateway.wait_until_ready()
        done.set()
    statuses = calls.result()
    assert set(statuses) == {200}
    assert dict(gateway.pids) == pids, "nothing was restarted"

    assert await gateway.stop() == 0
    for server in engines:
        server.server.kill()
    await gateway.start_without({"sql", "columnar", "kv"})
    statuses += [await call(gateway) for _ in range(10)]
    assert set(statuses) == {200}
    for server in engines:
        server.start()
    await gateway.wait_until_ready()
    assert await count_requests(gateway) == len(statuses)
    code, out, errors = await gateway.verb("conservation")
    assert code == 0, out + errors
