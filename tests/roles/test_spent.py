"""What a budget has cost outlives the processes that counted it, and Redis."""

import signal
from pathlib import Path

import aiohttp
import pytest

from tests.gateway import ACME_KEY, Gateway, wait_until
from tests.kv_engines import redis_server
from tests.servers.redis import Redis

__all__ = ["redis_server"]

# A thousandth of a dollar a token of output: a call of four costs four of them.
CONFIG = f"""
upstreams: {{mock: {{kind: mock}}}}
models:
  gpt-4o-mini:
    upstreams: [mock]
    price: {{input_per_million_usd: 0, output_per_million_usd: 1000}}
tenants:
  acme:
    limits:
      budgets:
        - {{amount_usd: "0.02", period: month}}
        - {{amount_usd: "0.001", period: month, hard: false}}
    keys: [{{name: app, secret: {ACME_KEY}}}]
    policy: passthrough
"""
BODY = {
    "model": "gpt-4o-mini",
    "max_tokens": 4,
    "messages": [{"role": "user", "content": "hello"}],
}
FREE = {"model": "gpt-4o-mini", "input": "hello"}


async def call(
    gateway: Gateway, path: str = "/chat/completions", body: object = BODY
) -> tuple[int, str]:
    """(status, what it says of the soft budget)."""
    headers = {"Authorization": f"Bearer {ACME_KEY}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.base_url}{path}", json=body, headers=headers) as reply,
    ):
        await reply.read()
        return reply.status, reply.headers.get("x-apex-budget", "")


async def is_told(gateway: Gateway) -> bool:
    """Whether a call that costs nothing finds the soft budget passed."""
    return await call(gateway, "/responses/input_tokens", FREE) == (200, "exceeded")


@pytest.mark.parametrize("engine", ["memory", "redis"])
async def test_a_restart_gives_no_budget_twice(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    """Row 3 of B3 for money: Redis loses everything while the gateway is stopped."""
    environ = {}
    server: Redis | None = None
    if engine == "redis":
        server = request.getfixturevalue("redis_server")
        server.ask("flushall")
        environ = {"APEX_KV_URL": server.url, "APEX_KV_DEADLINE_MS": "1000"}
    async with Gateway(tmp_path, config=CONFIG, environ=environ) as gateway:
        assert not await is_told(gateway)
        assert [(await call(gateway))[0] for _ in range(6)] == [200] * 5 + [429]
    if server is not None:
        server.ask("flushall")
    async with Gateway(tmp_path, config=CONFIG, environ=environ) as gateway:
        await wait_until(lambda: is_told(gateway), 30.0)
        assert (await call(gateway))[0] == 429


async def test_a_budget_declared_later_counts_what_was_spent_before(tmp_path: Path) -> None:
    late = CONFIG.partition("    limits:")[0] + "    keys" + CONFIG.partition("    keys")[2]
    async with Gateway(tmp_path, config=late) as gateway:
        assert [(await call(gateway))[0] for _ in range(5)] == [200] * 5
        gateway.config_path.write_text(CONFIG)
        gateway.kill("control", signal.SIGHUP)
        await wait_until(lambda: is_told(gateway), 30.0)
        assert (await call(gateway))[0] == 429
