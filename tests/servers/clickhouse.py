"""A ClickHouse server's HTTP interface before chDB (tests/fakes_columnar.py), in a process to kill.

The fixture `columnar_server` of tests/columnar_engines.py has one a session; tests that stop it
start another.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import aiohttp

from storage.columnar import open_columnar
from tests.servers import Server, WithBlock, accepts_connections, pick_port

ROOT = Path(__file__).resolve().parent.parent.parent


class ClickHouse(WithBlock):
    """One server with its data in a temporary directory; a with block."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="apex-clickhouse-"))
        self.port = pick_port()
        store = str(self._directory / "store")
        command = [sys.executable, "-m", "tests.fakes_columnar", store, str(self.port)]
        self.server = Server("clickhouse", command, self._directory / "log", cwd=ROOT)

    def open(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it, again where it was killed: on the same port, with its data."""
        self.server.start(lambda: accepts_connections(self.port))

    def close(self) -> None:
        """End it and remove everything."""
        self.server.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def url(self, database: str = "default") -> str:
        """What APEX_COLUMNAR_URL takes."""
        return f"clickhouse://127.0.0.1:{self.port}/{database}"

    async def make_database(self) -> str:
        """The name of a database of its own."""
        name = f"test_{uuid4().hex}"
        columnar = open_columnar(self.url())
        await columnar.command(f"CREATE DATABASE {name}")
        await columnar.close()
        return name

    async def set_fault(self, **faults: int) -> None:
        """Of the next n inserts: lose_replies=n work and are not answered, fail_inserts=n fail,
        hold_inserts=n wait before they work, until the next call of this.
        """
        url = f"http://127.0.0.1:{self.port}/fault"
        async with aiohttp.ClientSession() as session:
            await session.post(url, params={name: str(count) for name, count in faults.items()})
