"""A throw-away gateway, or a mock alone, in processes of its own; used by the demo's runs.

Everything lies in the given directory. No provider key and no setting of the shell gets through.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 60
STOP_S = 45
ADMIN_S = 60
LOG_LINES_SHOWN = 20


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """The trace's time shows `simulated_s` (unix seconds) at `real_s`, `scale` times as fast."""

    scale: int
    simulated_s: float
    real_s: float

    def settings(self) -> dict[str, str]:
        simulated, real = (
            datetime.fromtimestamp(instant, UTC).isoformat()
            for instant in (self.simulated_s, self.real_s)
        )
        return {
            "APEX_CLOCK_SCALE": str(self.scale),
            "APEX_CLOCK_ORIGIN": f"{simulated}={real}",
        }


class Gateway:
    """One running `python main.py all`, as its discovery files describe it."""

    def __init__(self, directory: Path, api_key: str) -> None:
        self._directory = directory
        self.api_key = api_key
        self.url = read_url(directory, "proxy")
        self.mock_url = read_url(directory, "mock")

    async def admin(self, path: str, **query: str) -> Any:
        """A document of the admin API. Raises DemoError."""
        token = (self._directory / ".apex" / "admin.token").read_text().strip()
        url = f"{read_url(self._directory, 'admin')}/admin/v1/{path}"
        return await get_json(url, query, {"Authorization": f"Bearer {token}"})

    async def bill(self) -> list[dict[str, Any]]:
        """The mock's own bill, line by line."""
        lines: list[dict[str, Any]] = await get_json(f"{self.mock_url}/mock/bill", {}, {})
        return lines


async def get_json(url: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Any:
    timeout = aiohttp.ClientTimeout(total=ADMIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, params=query, headers=headers) as answer,
        ):
            if answer.status != 200:
                raise DemoError(f"{url}: {answer.status} {(await answer.text())[:500]}")
            return await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DemoError(f"{url}: {error!r}") from error


@asynccontextmanager
async def run_gateway(directory: Path, policy: str, time: SimulatedTime) -> AsyncIterator[Gateway]:
    """Start, wait until it serves, and stop it at the end of the block. Raises DemoError."""
    api_key = secrets.token_urlsafe(32)
    directory.mkdir(parents=True)
    (directory / "apex.yaml").write_text(
        "upstreams: {mock: {kind: mock}}\n"
        "default_upstream: mock\n"
        "tenants:\n"
        f"  demo: {{keys: [{{name: demo, secret: env:DEMO_KEY}}], policy: {policy}}}\n"
    )
    changes = {
        **time.settings(),
        "APEX_CONFIG": str(directory / "apex.yaml"),
        "APEX_PROXY_PORT": "0",
        "APEX_ADMIN_PORT": "0",
        "DEMO_KEY": api_key,
    }
    async with run_verb(directory, ("all",), changes, ("proxy", "admin", "mock")):
        yield Gateway(directory, api_key)


@asynccontextmanager
async def run_mock(directory: Path) -> AsyncIterator[str]:
    """The mock alone, for the time without a gateway; its URL."""
    directory.mkdir(parents=True)
    async with run_verb(directory, ("mock", "--port", "0"), {}, ("mock",)):
        yield read_url(directory, "mock")


@asynccontextmanager
async def run_verb(
    directory: Path, words: tuple[str, ...], changes: Mapping[str, str], names: tuple[str, ...]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python main.py WORDS` from when its discovery files are there to the end of the block."""
    log = directory / "gateway.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "main.py"), *words,
            env=clean_environment(directory, changes), cwd=directory,
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        await _wait_for(directory, names, process, log)
        yield process
    finally:
        await _stop(process)


def clean_environment(directory: Path, changes: Mapping[str, str]) -> dict[str, str]:
    """The shell's environment without settings and provider keys; the home in `directory`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("APEX_") and not name.endswith("_API_KEY")
    }
    return {**kept, "APEX_HOME": str(directory / ".apex"), **changes}


def read_url(directory: Path, name: str) -> str:
    path = directory / ".service_discovery" / f"{name}.json"
    return str(json.loads(path.read_bytes())["url"])


async def _wait_for(
    directory: Path, names: tuple[str, ...], process: asyncio.subprocess.Process, log: Path
) -> None:
    files = [directory / ".service_discovery" / f"{name}.json" for name in names]
    try:
        async with asyncio.timeout(START_S):
            while not all(file.exists() for file in files):
                if process.returncode is not None:
                    raise DemoError(f"the gateway ended before it was up:\n{_tail(log)}")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise DemoError(f"the gateway was not up within {START_S} s:\n{_tail(log)}") from None


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
