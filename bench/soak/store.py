"""The soak's columnar store: a ClickHouse HTTP interface before chDB, in a process to kill.

It is the one the tests run (tests/fakes_columnar.py): a real engine over a real socket. An
embedded store cannot be away without the process that holds it.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import aiohttp

from bench.demo.gateway import ROOT, DemoError

START_S = 30.0
ASK_S = 10.0
POSITIONS = "SELECT segment, max(next_offset) AS position FROM usage_events GROUP BY segment"


class Store:
    """Keeps its data and its port over a death.

    The port is held by a socket that is bound and does not listen: calls are refused while the
    store is away, and no other program that wants any port gets this one and answers instead.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._guard = socket.socket()
        self._guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._guard.bind(("127.0.0.1", 0))
        self._port = int(self._guard.getsockname()[1])
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """What APEX_COLUMNAR_URL takes."""
        return f"clickhouse://127.0.0.1:{self._port}/default"

    async def start(self) -> None:
        """Start, or start again on the same port and data. Raises DemoError."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fakes_columnar", str(self._directory), str(self._port),
            cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            env=dict(os.environ), start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                is_up = bool(await process.stdout.readline())
        except TimeoutError:
            is_up = False
        if not is_up:
            await self.kill()
            raise DemoError("the columnar store did not start")

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        """End it for good."""
        await self.kill()
        self._guard.close()

    async def positions(self) -> dict[str, int] | None:
        """How far each segment is stored; None while the store is away."""
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    f"http://127.0.0.1:{self._port}/", data=f"{POSITIONS} FORMAT JSONEachRow"
                ) as answer,
            ):
                lines = (await answer.text()).splitlines()
                if answer.status != 200:
                    return None
        except (aiohttp.ClientError, TimeoutError):
            return None
        rows = map(json.loads, lines)
        return {row["segment"]: int(row["position"]) for row in rows}
