"""Which errors say that the store is away, and what a person is told: never the driver's text."""

import errno
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.sql import open_sql
from storage.sql_errors import (
    SQL_ERRORS,
    SqlAwayError,
    describe_sql_trouble,
    is_sql_away,
    naming_sql_trouble,
)
from storage.tables import kv_state
from tests.gateway import wait_until
from tests.servers import pick_port
from tests.servers.postgresql import PostgreSQL
from tests.sql_engines import PostgreSQLDatabases

THREAD = "_connection_worker_thread"
pytestmark = pytest.mark.engines


@pytest.mark.parametrize("statement", ["SELECT * FROM no_such_table", "SELEKT 1"])
async def test_a_wrong_statement_is_not_a_store_that_is_away(
    sql_engine: AsyncEngine, statement: str
) -> None:
    async with sql_engine.connect() as connection:
        with pytest.raises(SQLAlchemyError) as caught, naming_sql_trouble(str(sql_engine.url)):
            await connection.execute(text(statement))
    assert not is_sql_away(caught.value)


async def test_a_row_that_is_there_already_is_not_a_store_that_is_away(
    sql_engine: AsyncEngine,
) -> None:
    statement = insert(kv_state).values(name="n", value="v")
    async with sql_engine.connect() as connection:
        await connection.execute(statement)
        with pytest.raises(SQLAlchemyError) as caught:
            await connection.execute(statement)
    assert not is_sql_away(caught.value)


async def test_a_server_that_does_not_answer_is_away() -> None:
    url = f"postgresql+asyncpg://u:secret@127.0.0.1:{pick_port()}/apex"
    trouble = await _trouble_of(url)
    assert trouble.message.endswith("does not answer")
    assert "start it" in trouble.hint


async def test_a_refusal_of_the_server_names_what_to_correct(
    postgresql: PostgreSQLDatabases,
) -> None:
    there, _, _ = postgresql.make_empty().rpartition("/")
    trouble = await _trouble_of(f"{there}/no_such_database")
    assert trouble.message.endswith("refuses with SQLSTATE 3D000")
    assert trouble.hint == "create the database that APEX_SQL_URL names"


async def test_a_server_that_takes_no_writes_is_away(postgresql: PostgreSQLDatabases) -> None:
    """As a standby is, before it is promoted."""
    url = await postgresql.make_migrated()
    engine = open_sql(url)
    async with engine.connect() as connection:
        await connection.execute(text("SET TRANSACTION READ ONLY"))
        with pytest.raises(SqlAwayError) as caught, naming_sql_trouble(url):
            await connection.execute(insert(kv_state).values(name="n", value="v"))
    await engine.dispose()
    assert "primary" in caught.value.hint


async def test_a_server_that_goes_away_in_a_statement_is_away() -> None:
    with PostgreSQL() as server:
        engine = open_sql(server.make_database())
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            server.server.kill()
            with pytest.raises(SQL_ERRORS) as caught:
                await connection.execute(text("SELECT 1"))
        await engine.dispose()
    assert is_sql_away(caught.value)


async def test_a_file_that_cannot_be_opened_is_away(tmp_path: Path) -> None:
    (tmp_path / "apex.db").mkdir()
    trouble = await _trouble_of(f"sqlite+aiosqlite:///{tmp_path}/apex.db")
    assert f"{tmp_path}/apex.db" in trouble.message
    assert "writable" in trouble.hint
    # The driver's thread speaks to this loop once more.
    await wait_until(lambda: not [each for each in threading.enumerate() if THREAD in each.name])


@pytest.mark.parametrize(("number", "is_away"), [(errno.ECONNREFUSED, True), (errno.ENOSPC, False)])
def test_a_full_disk_beside_the_store_is_not_a_store_that_is_away(
    number: int, is_away: bool
) -> None:
    assert is_sql_away(OSError(number, "as the system says")) is is_away


def test_of_an_error_without_a_state_only_the_place_is_told() -> None:
    trouble = describe_sql_trouble("postgresql+asyncpg://u:secret@h/n", TimeoutError("secret"))
    assert trouble.message == "the PostgreSQL server at h:5432 does not answer"
    assert "secret" not in str(trouble)


async def _trouble_of(url: str) -> SqlAwayError:
    engine = open_sql(url)
    with pytest.raises(SqlAwayError) as caught, naming_sql_trouble(url):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    await engine.dispose()
    return caught.value
