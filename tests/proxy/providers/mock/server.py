"""A mock provider on a real socket inside the test, for the tests beside this file."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openai import AsyncOpenAI

from proxy.providers.mock.app import run_mock

DEADLINE_S = 5.0
BODY: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Tell me about herons."}],
}


def assert_fits(instance: Any, schema: dict[str, Any]) -> None:
    """Fail with the validator's own words when the value does not fit the JSON schema."""
    Draft202012Validator(schema).validate(instance)


@dataclass(frozen=True, slots=True)
class MockServer:
    """A running mock: `client` is openai-python, `http` speaks to it plainly."""

    url: str
    client: AsyncOpenAI
    http: aiohttp.ClientSession

    async def post(
        self, document: Any, path: str = "chat/completions", **headers: str
    ) -> tuple[int, Any]:
        """Send JSON with x-mock-* headers given as latency_ms="5"; return status and answer."""
        named = {f"x-mock-{name.replace('_', '-')}": value for name, value in headers.items()}
        async with self.http.post(f"{self.url}/v1/{path}", json=document, headers=named) as reply:
            return reply.status, await reply.json()

    async def stream(self, document: Any, **headers: str) -> bytes:
        named = {f"x-mock-{name.replace('_', '-')}": value for name, value in headers.items()}
        body = {**document, "stream": True}
        url = f"{self.url}/v1/chat/completions"
        async with self.http.post(url, json=body, headers=named) as reply:
            return await reply.read()

    async def get(self, path: str) -> Any:
        async with self.http.get(f"{self.url}{path}") as reply:
            return await reply.json()

    async def bill_when(self, is_ready: Callable[[list[Any]], bool]) -> list[Any]:
        """Read the bill until the condition holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_ready(lines := await self.get("/mock/bill")):
                await asyncio.sleep(0.005)
        return list(lines)


@asynccontextmanager
async def running_mock(bill_path: Path) -> AsyncIterator[MockServer]:
    ready = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as opened:
        url = f"http://127.0.0.1:{opened.getsockname()[1]}"
        async with asyncio.TaskGroup() as group:
            task = group.create_task(run_mock("127.0.0.1", opened, bill_path, ready.set))
            await ready.wait()
            client = AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0)
            headers = {"Authorization": "Bearer sk-test"}
            async with client, aiohttp.ClientSession(headers=headers) as http:
                yield MockServer(url, client, http)
            task.cancel()
