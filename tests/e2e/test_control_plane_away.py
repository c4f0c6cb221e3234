"""Keys over the whole gateway: made, live, revoked, and what holds without a control process."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from policies.keys import generate_key
from tests.gateway import ACME_CONFIG, ACME_KEY, Gateway, wait_until

pytestmark = pytest.mark.e2e
KEYS = "/admin/v1/tenants/globex/keys"


async def ask(gateway: Gateway, secret: str) -> tuple[int, str]:
    """(status, error code or "")."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {secret}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers) as reply,
    ):
        document = await reply.json()
    return reply.status, document.get("error", {}).get("code", "")


async def make_key(gateway: Gateway, name: str, **fields: Any) -> Any:
    status, made = await gateway.admin(KEYS, method="POST", json={"name": name, **fields})
    assert status == 201, made
    return made


async def answers(gateway: Gateway, secret: str, expected: tuple[int, str]) -> bool:
    return await ask(gateway, secret) == expected


async def test_keys_come_and_go_and_outlive_the_control_process(tmp_path: Path) -> None:
    async with Gateway(tmp_path, config=ACME_CONFIG, workers=2) as gateway:
        await gateway.admin("/admin/v1/tenants", method="POST", json={"name": "globex"})
        many = [await make_key(gateway, f"key-{number}") for number in range(12)]
        kept, gone = many[0], many[1]
        for made in many:
            await wait_until(partial(answers, gateway, made["secret"], (200, "")))
        _, ready = await gateway.admin("/health/ready")
        number = ready["dependencies"]["snapshot"]["number"]
        assert number < 12, "changes that come together are built together"

        status, _ = await gateway.admin(f"{KEYS}/{gone['key_id']}/revoke", method="POST")
        assert status == 200
        await wait_until(lambda: answers(gateway, gone["secret"], (401, "key_revoked")))
        assert await ask(gateway, generate_key().secret) == (401, "invalid_api_key")

        (tmp_path / "apex.yaml").write_text("tenants: [")  # no control process starts with that
        gateway.kill("control")
        gateway.kill("proxy-0")
        unknown = generate_key().secret
        await wait_until(
            lambda: answers(gateway, unknown, (503, "key_not_verifiable")), 30.0, "it is in doubt"
        )
        for _ in range(8):  # both processes answer
            assert await ask(gateway, kept["secret"]) == (200, "")
            assert await ask(gateway, ACME_KEY) == (200, "")
            assert (await ask(gateway, gone["secret"]))[0] == 401
            await asyncio.sleep(0)
