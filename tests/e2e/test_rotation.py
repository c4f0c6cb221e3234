"""Another master key while calls go on: none fails, nothing is lost, the old one can be dropped."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.fault_replies import ok_json
from tests.fault_upstream import FaultUpstream
from tests.gateway import Gateway, wait_until

OLD, NEW = "the-first-master-key-of-this-test-" * 2, "the-second-master-key-of-this-test" * 2
BYOK = "sk-brought-by-acme-itself-1234"
BODY = {"model": "house", "messages": [{"role": "user", "content": "hello"}], "user": "u-1"}


def gateway_with(directory: Path, provider: FaultUpstream, keys: str) -> Gateway:
    config = f"""
upstreams:
  local: {{kind: openai, base_url: "{provider.url}", api_key: sk-operators, allow_private: true}}
models: {{house: {{upstreams: [local]}}}}
tenants: {{acme: {{keys: [{{name: generated}}], policy: passthrough}}}}
"""
    return Gateway(directory, config=config, environ={"APEX_MASTER_KEYS": keys})


async def post(gateway: Gateway, path: str, body: Any) -> Any:
    status, document = await gateway.admin(path, method="POST", json=body)
    assert status in {200, 201}, document
    return document


async def call(gateway: Gateway, secret: str) -> tuple[int, str]:
    """(status, request id) of a chat call."""
    headers = {"Authorization": f"Bearer {secret}"}
    url = f"{gateway.base_url}/chat/completions"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=BODY) as reply,
    ):
        await reply.read()
        return reply.status, reply.headers.get("x-apex-request-id", "")


async def session_hash(gateway: Gateway, request_id: str) -> str:
    _, detail = await gateway.admin(f"/admin/v1/requests/{request_id}")
    return str(detail["events"][0]["session"])


@asynccontextmanager
async def calling(gateway: Gateway, secrets: list[str]) -> AsyncIterator[list[int]]:
    """Calls with each of the keys in turn for as long as the block lasts; their statuses."""
    statuses: list[int] = []
    is_over = asyncio.Event()

    async def keep_calling() -> None:
        for secret in itertools.cycle(secrets):
            if is_over.is_set():
                return
            statuses.append((await call(gateway, secret))[0])

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_calling())
        yield statuses
        is_over.set()


async def until_own_key_is_used(gateway: Gateway, provider: FaultUpstream, secret: str) -> None:
    async def is_used() -> bool:
        await call(gateway, secret)
        return provider.calls[-1].headers["authorization"] == f"Bearer {BYOK}"

    await wait_until(is_used)


async def rotate_under_load(gateway: Gateway, secrets: list[str]) -> str:
    """Rotate while calls go on, none of which may fail; a key that was made meanwhile."""
    async with calling(gateway, secrets) as statuses:
        await wait_until(lambda: len(statuses) > 4)
        status, out, err = await gateway.verb("rotate-master-key")
        assert (status, err) == (0, "")
        assert "nothing needs another master key than k2" in out
        newer = await post(gateway, "/admin/v1/tenants/acme/keys", {"name": "newer"})
        seen = len(statuses)
        await wait_until(lambda: len(statuses) > seen + 4)
    assert set(statuses) == {200}
    return str(newer["secret"])


async def test_a_master_key_is_replaced_while_calls_go_on(tmp_path: Path) -> None:
    async with FaultUpstream(ok_json()) as provider:
        async with gateway_with(tmp_path, provider, f"k1:{OLD}") as gateway:
            line = next(each for each in gateway.output.splitlines() if "acme/generated" in each)
            made = await post(gateway, "/admin/v1/tenants/acme/keys", {"name": "made"})
            secrets = [line.split()[-1], made["secret"]]
            bound = {"name": "own", "provider": "openai", "secret": BYOK}
            bound["host"] = f"127.0.0.1:{provider.port}"
            await post(gateway, "/admin/v1/tenants/acme/credentials", bound)
            await until_own_key_is_used(gateway, provider, secrets[0])
            session = await session_hash(gateway, (await call(gateway, secrets[0]))[1])

        async with gateway_with(tmp_path, provider, f"k2:{NEW},k1:{OLD}") as gateway:
            secrets.append(await rotate_under_load(gateway, secrets))

        async with gateway_with(tmp_path, provider, f"k2:{NEW}") as gateway:
            provider.calls.clear()
            answers = [await call(gateway, secret) for secret in secrets]
            assert [status for status, _ in answers] == [200, 200, 200]
            assert {each.headers["authorization"] for each in provider.calls} == {f"Bearer {BYOK}"}
            assert await session_hash(gateway, answers[0][1]) == session, "figures still join"
            assert "acme/generated" not in gateway.output, "no key was made anew"
