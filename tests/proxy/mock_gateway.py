"""The gateway before the shipped mock provider, which plays any of the providers' dialects.

Used by tests of dialects and of resources. Each upstream is the same mock, playing another part.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from policies.snapshot import Target
from proxy.providers.mock.app import run_mock
from tests.gateway import wait_until
from tests.proxy_gateway import ProxyGateway, local_upstream

PLAYS = ("openai", "azure", "anthropic", "gemini", "bedrock")
MODELS = {
    "openai": "gpt-4o-mini",
    "azure": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "bedrock": "anthropic.claude-3-5-sonnet-20240620-v1:0",
}


@dataclass(frozen=True, slots=True)
class MockGateway:
    """A running gateway; `model(play)` is the public name that goes to the mock playing it."""

    gateway: ProxyGateway
    mock_url: str
    http: aiohttp.ClientSession

    @property
    def root(self) -> str:
        return self.gateway.base_url.removesuffix("/v1")

    async def bill(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.mock_url}/mock/bill") as reply:
            lines: list[dict[str, Any]] = orjson.loads(await reply.read())
            return lines

    async def end_of(self, request_id: str) -> dict[str, Any]:
        """Return the final END of a request, once it is in the log."""
        await wait_until(lambda: any(e["is_final"] for e in self.gateway.ends(request_id)))
        return next(end for end in self.gateway.ends(request_id) if end["is_final"])


@asynccontextmanager
async def mock_gateway(directory: Path, **options: Any) -> AsyncIterator[MockGateway]:
    """Start the mock and a gateway with one upstream for each provider it plays."""
    ready = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as opened:
        url = f"http://127.0.0.1:{opened.getsockname()[1]}"
        async with asyncio.TaskGroup() as group:
            bill_path = directory / "bill.jsonl"
            task = group.create_task(run_mock("127.0.0.1", opened, bill_path, ready.set))
            await ready.wait()
            upstreams = {
                play: local_upstream(
                    play,
                    f"{url}/v1",
                    kind="mock",
                    is_simulated=True,
                    plays=play,
                    region="us-east-1" if play == "bedrock" else "",
                )
                for play in PLAYS
            }
            models = {name: (Target(play, name),) for play, name in MODELS.items()}
            models |= {
                "text-embedding-3-small": (Target("openai", "text-embedding-3-small"),),
                "whisper": (Target("openai", "gpt-4o-transcribe"),),  # a public name of its own
                "gemini-embedding-001": (Target("gemini", "gemini-embedding-001"),),
            }
            async with (
                ProxyGateway(
                    directory, upstreams, models=models, default_upstream="openai", **options
                ) as gateway,
                aiohttp.ClientSession() as http,
            ):
                yield MockGateway(gateway, url, http)
                await wait_until(lambda: len(gateway.ends()) * 2 == len(gateway.events()))
                gateway.check_conservation()
            task.cancel()
