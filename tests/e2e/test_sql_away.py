"""Rows 8 and 9 of the fault table, on a real PostgreSQL: away at run time, and away at boot.

The data plane serves from its snapshot, the admin API says what is missing, and when SQL is back
everything goes on by itself.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from config.clock import Clock
from policies.snapshot_age import CONFIRMED_FILE, SNAPSHOT_FILE
from tests.gateway import ACME_CONFIG, Gateway, wait_until
from tests.servers import pick_port
from tests.servers.postgresql import PostgreSQL

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL() as running:
        yield running


@pytest.fixture
async def gateway(tmp_path: Path, server: PostgreSQL) -> AsyncIterator[Gateway]:
    environ = {"APEX_SQL_URL": server.make_database()}
    async with Gateway(tmp_path, config=ACME_CONFIG, environ=environ) as running:
        yield running


async def call(gateway: Gateway) -> int:
    """One chat completion; its status."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
    headers = {"Authorization": f"Bearer {gateway.api_key}"}
    url = f"{gateway.base_url}/chat/completions"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=body) as reply,
    ):
        await reply.read()
        return reply.status


async def read_sql_state(gateway: Gateway) -> tuple[int, str, dict[str, Any]]:
    """(status, "ok" or "degraded", what it says of SQL) of the control process's readiness."""
    status, document = await gateway.admin("/health/ready", token="")
    return status, document["status"], document["dependencies"]["sql"]


async def is_degraded(gateway: Gateway) -> bool:
    status, word, sql = await read_sql_state(gateway)
    return (status, word, sql["status"]) == (200, "degraded", "degraded")


async def calls_until(gateway: Gateway, done: asyncio.Event) -> list[int]:
    """Statuses of calls one after the other, until the event."""
    statuses = []
    while not done.is_set():
        statuses.append(await call(gateway))
    return statuses


async def test_sql_away_at_run_time_costs_no_call_and_comes_back_by_itself(
    gateway: Gateway, server: PostgreSQL
) -> None:
    """Hung, then killed."""
    control = gateway.pids["control"]
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        calls = tasks.create_task(calls_until(gateway, done))
        for lose, find in (
            (server.server.pause, server.server.resume),
            (server.server.kill, server.start),
        ):
            lose()
            await wait_until(lambda: is_degraded(gateway), 30, "readiness says that SQL is away")
            _, _, sql = await read_sql_state(gateway)
            assert "does not answer" in sql["reason"]
            status, problem = await gateway.admin(
                "/admin/v1/tenants", method="POST", json={"name": "globex"}
            )
            assert (status, problem["code"]) == (503, "store_unavailable")
            find()
            await gateway.wait_until_ready()
        done.set()
    assert set(calls.result()) == {200}
    assert gateway.pids["control"] == control
    assert "SQL answers again" in gateway.output
    code, out, errors = await gateway.verb("conservation")
    assert code == 0, out + errors


async def test_sql_away_at_boot_a_fresh_snapshot_serves_and_an_old_one_is_refused(
    gateway: Gateway, server: PostgreSQL
) -> None:
    assert await gateway.stop() == 0
    server.server.kill()
    try:
        await gateway.start_without({"sql"})
        assert await call(gateway) == 200
        assert await is_degraded(gateway)
        assert "the last snapshot serves" in gateway.output
        assert await gateway.stop() == 0
        yesterday = Clock().now() - 90_000
        for name in (SNAPSHOT_FILE, CONFIRMED_FILE):
            os.utime(gateway.home / name, (yesterday, yesterday))
        code, _, errors = await gateway.verb("all")
        assert code == 2
        assert "does not answer, and the last snapshot was confirmed 900" in errors
        assert "APEX_SNAPSHOT_MAX_STALE_S=86400" in errors
        assert "hint: start it, or correct APEX_SQL_URL" in errors
        os.utime(gateway.home / SNAPSHOT_FILE)
        await gateway.start_without({"sql"})
    finally:
        server.start()
    await gateway.wait_until_ready()
    assert await call(gateway) == 200


async def test_the_first_start_needs_sql(tmp_path: Path) -> None:
    url = f"postgresql+asyncpg://apex@127.0.0.1:{pick_port()}/apex"
    code, _, errors = await Gateway(tmp_path, environ={"APEX_SQL_URL": url}).verb("all")
    assert code == 2
    assert "does not answer, and there is no signed snapshot yet" in errors
