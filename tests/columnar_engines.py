"""Every columnar engine there is, each test on a store of its own; for storage and ledger."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from storage.columnar import Columnar, open_columnar
from storage.migrations import migrate_columnar

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class ColumnarServer:
    """The HTTP front in a process of its own."""

    port: int

    def url(self, database: str) -> str:
        return f"clickhouse://127.0.0.1:{self.port}/{database}"

    async def make_database(self) -> str:
        name = f"test_{uuid4().hex}"
        columnar = open_columnar(self.url("default"))
        await columnar.command(f"CREATE DATABASE {name}")
        await columnar.close()
        return name

    async def set_fault(self, **faults: int) -> None:
        """lose_replies=n: the next n inserts work, their replies are lost. fail_inserts=n."""
        url = f"http://127.0.0.1:{self.port}/fault"
        async with aiohttp.ClientSession() as session:
            await session.post(url, params={name: str(count) for name, count in faults.items()})


@pytest.fixture(scope="session")
def columnar_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarServer]:
    directory = tmp_path_factory.mktemp("server") / "store"
    command = [sys.executable, "-m", "tests.fakes_columnar", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield ColumnarServer(int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.fixture(params=["chdb", "clickhouse"])
async def columnar_url(
    request: pytest.FixtureRequest, tmp_path: Path, columnar_server: ColumnarServer
) -> str:
    if request.param == "chdb":
        return f"chdb://{tmp_path}/columnar"
    return columnar_server.url(await columnar_server.make_database())


@pytest.fixture
async def columnar(columnar_url: str) -> AsyncIterator[Columnar]:
    """An empty store with its tables, on each engine."""
    store = open_columnar(columnar_url)
    await migrate_columnar(store)
    yield store
    await store.close()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Columnar]:
    """An empty embedded store: for what does not depend on the engine."""
    store = open_columnar(f"chdb://{tmp_path}/embedded")
    await migrate_columnar(store)
    yield store
    await store.close()
