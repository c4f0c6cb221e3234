"""The SQL engines: SQLite's durability on every connection, a server's bounds, reconnecting."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from config.errors import ConfigError
from storage.sql import open_sql
from storage.sql_errors import SQL_ERRORS, is_sql_away
from tests.servers.postgresql import PostgreSQL
from tests.sql_engines import PostgreSQLDatabases

SHORT_TIMEOUT_S = 0.2


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)],
)
async def test_sqlite_is_set_up_for_durability(
    tmp_path: Path, pragma: str, value: str | int
) -> None:
    engine = open_sql(f"sqlite+aiosqlite:///{tmp_path}/deep/apex.db")
    async with engine.connect() as connection:
        found = (await connection.execute(text(f"PRAGMA {pragma}"))).scalar()
    await engine.dispose()
    assert found == value


@pytest.mark.parametrize("url", ["no url at all", "postgresql+nosuchdriver://localhost/apex"])
def test_what_cannot_be_served_is_refused_with_a_hint(url: str) -> None:
    with pytest.raises(ConfigError, match="APEX_SQL_URL") as caught:
        open_sql(url)
    assert "sqlite+aiosqlite" in caught.value.hint


async def test_memory_needs_no_directory() -> None:
    engine = open_sql("sqlite+aiosqlite:///:memory:")
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
    await engine.dispose()


@pytest.fixture
def own_server() -> Iterator[PostgreSQL]:
    """A server to stop."""
    with PostgreSQL() as server:
        yield server


async def test_a_server_bounds_what_a_statement_may_take(postgresql: PostgreSQLDatabases) -> None:
    """By its own clock: the statement ends, and its connection is good for the next."""
    engine = open_sql(postgresql.make_empty(), statement_timeout_s=SHORT_TIMEOUT_S)
    with pytest.raises(SQL_ERRORS, match="statement timeout") as caught:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))
    assert is_sql_away(caught.value)
    async with engine.connect() as connection:
        settings = ("lock_timeout", "application_name")
        shown = [(await connection.execute(text(f"SHOW {name}"))).scalar() for name in settings]
    await engine.dispose()
    assert shown == ["200ms", "netra-apex"]


async def test_a_server_that_is_away_is_said_in_time_and_found_again(
    own_server: PostgreSQL,
) -> None:
    """Reliability, row 8: hung, killed, restarted; the same engine works on after each."""
    engine = open_sql(own_server.make_database(), statement_timeout_s=SHORT_TIMEOUT_S)

    async def ask() -> int | None:
        async with engine.connect() as connection:
            return (await connection.execute(text("SELECT 1"))).scalar()

    async def is_away() -> bool:
        with pytest.raises(SQL_ERRORS) as caught:
            await ask()
        return is_sql_away(caught.value)

    assert await ask() == 1
    own_server.server.pause()
    assert await is_away()
    own_server.server.resume()
    assert await ask() == 1
    own_server.server.kill()
    assert await is_away()
    own_server.start()
    assert await ask() == 1
    own_server.server.stop()
    own_server.start()
    assert await ask() == 1
    await engine.dispose()
