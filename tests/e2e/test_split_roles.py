"""The roles as processes of their own, on two hosts as far as their homes go: admin and proxies.

They share a PostgreSQL and a ClickHouse server, and a master key; nothing else.
"""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.gateway import Gateway, wait_until
from tests.servers.clickhouse import ClickHouse
from tests.servers.postgresql import PostgreSQL

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

MASTER_KEY = "a-master-key-that-every-host-has-and-nobody-else"
CONFIG = """
upstreams: {mock: {kind: mock}}
default_upstream: mock
tenants: {acme: {keys: [{name: app}], policy: passthrough}}
"""


@pytest.fixture(scope="module")
def sql() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="module")
def columnar() -> Iterator[ClickHouse]:
    with ClickHouse() as server:
        yield server


@pytest.fixture
async def hosts(
    tmp_path: Path, sql: PostgreSQL, columnar: ClickHouse
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """(admin, proxies); the mock provider runs beside the proxies."""
    shared = {
        "APEX_SQL_URL": sql.make_database(),
        "APEX_COLUMNAR_URL": columnar.url(await columnar.make_database()),
        "APEX_MASTER_KEY": MASTER_KEY,
        "APEX_ADMIN_TOKEN": "an-admin-token-of-more-than-32-characters",
    }
    admin = Gateway(tmp_path / "one", config=CONFIG, environ=shared, verb="admin")
    proxies = Gateway(tmp_path / "two", config=CONFIG, environ=shared, verb="proxy", workers=2)
    mock = Gateway(tmp_path / "two", environ=shared, verb="mock")
    async with mock, admin, proxies:
        yield admin, proxies


class Caller:
    """Calls the proxies, each time over a connection of its own, and counts what they answered."""

    def __init__(self, proxies: Gateway) -> None:
        self._url = f"{proxies.base_url}/chat/completions"
        self.answered = 0

    async def call(self, secret: str) -> int:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(self._url, json=body) as reply,
        ):
            await reply.read()
            self.answered += reply.status == 200
            return reply.status

    async def gets(self, secret: str, status: int) -> bool:
        """Whether both processes answer so: the kernel gives each connection to one of them."""
        return {await self.call(secret) for _ in range(16)} == {status}


async def make_key(admin: Gateway, name: str) -> dict[str, Any]:
    path = "/admin/v1/tenants/acme/keys"
    status, made = await admin.admin(path, method="POST", json={"name": name})
    assert status == 201, made
    return made  # type: ignore[no-any-return]


async def count_requests(admin: Gateway) -> int:
    status, usage = await admin.admin("/admin/v1/usage?tenant=acme")
    assert status == 200, usage
    return int(usage["totals"]["requests"])


def companion_of(proxies: Gateway) -> int:
    [path] = (proxies.home / "run").glob("proxies-*.json")
    return int(orjson.loads(path.read_bytes()).get("companion", 0))


async def test_admin_and_proxies_on_two_hosts(
    hosts: tuple[Gateway, Gateway], sql: PostgreSQL, columnar: ClickHouse
) -> None:
    admin, proxies = hosts
    caller = Caller(proxies)
    first, second = [await make_key(admin, name) for name in ("first", "second")]
    old, new = first["secret"], second["secret"]
    await wait_until(lambda: caller.gets(old, 200), 20, "a key made on the other host is live")
    await wait_until(lambda: caller.gets(new, 200), 20, "the next one too")
    revoke = f"/admin/v1/tenants/acme/keys/{first['key_id']}/revoke"
    assert (await admin.admin(revoke, method="POST"))[0] == 200
    await wait_until(lambda: caller.gets(old, 401), 20, "one revoked there is refused")
    await wait_until(lambda: has_usage(admin, caller.answered), 20, "usage is asked there, too")

    sql.server.pause()
    columnar.server.kill()
    companion = companion_of(proxies)
    os.kill(companion, signal.SIGKILL)
    assert await caller.gets(new, 200)
    columnar.start()
    sql.server.resume()
    await wait_until(lambda: companion_of(proxies) not in {0, companion}, 20)
    await wait_until(lambda: has_usage(admin, caller.answered), 30, "what was written meanwhile")
    assert await caller.gets(new, 200)
    assert await proxies.stop() == 0
    assert await count_requests(admin) == caller.answered
    code, out, errors = await proxies.verb("conservation")
    assert code == 0, out + errors


async def has_usage(admin: Gateway, requests: int) -> bool:
    return await count_requests(admin) == requests
