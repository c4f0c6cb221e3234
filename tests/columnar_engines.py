"""Every columnar engine there is, each test on a store of its own; for storage and ledger."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage.columnar import Columnar, open_columnar
from storage.migrations import migrate_columnar
from tests.servers.clickhouse import ClickHouse

ColumnarServer = ClickHouse


@pytest.fixture(scope="session")
def columnar_server() -> Iterator[ClickHouse]:
    """One server for all tests that leave it running."""
    with ClickHouse() as server:
        yield server


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
