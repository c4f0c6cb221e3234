"""Every SQL engine there is, each test in a database of its own; for storage, policies, admin."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.migrations import migrate_sql
from storage.sql import open_sql
from tests.servers.postgresql import PostgreSQL


class PostgreSQLDatabases:
    """Databases in one cluster: empty ones, and copies of one that was migrated once."""

    def __init__(self, cluster: PostgreSQL) -> None:
        self._cluster = cluster
        self._template: str | None = None

    def make_empty(self) -> str:
        """The URL of a database without tables."""
        return self._cluster.make_database()

    async def make_migrated(self) -> str:
        """The URL of a database with all tables, empty."""
        if self._template is None:
            url = self.make_empty()
            await migrate_sql(url)
            self._template = url.rpartition("/")[2]
        return self._cluster.make_database(self._template)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLDatabases]:
    """One server for all tests that leave it running."""
    with PostgreSQL() as cluster:
        yield PostgreSQLDatabases(cluster)


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store, on each engine."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/deep/apex.db"
    databases: PostgreSQLDatabases = request.getfixturevalue("postgresql")
    return databases.make_empty()


@pytest.fixture(params=["sqlite", "postgresql"])
async def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with all tables, on each engine."""
    if request.param == "postgresql":
        databases: PostgreSQLDatabases = request.getfixturevalue("postgresql")
        return await databases.make_migrated()
    url = f"sqlite+aiosqlite:///{tmp_path}/migrated.db"
    await migrate_sql(url)
    return url


@pytest.fixture
async def sql_engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine of a store with all tables, as the control process has it; on each engine."""
    engine = open_sql(migrated_url)
    yield engine
    await engine.dispose()
