"""The number of changes: with the transaction or not at all, and none is lost between writers."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.revision import bump_revision, read_revision
from storage.sql import open_sql
from tests.sql_engines import PostgreSQLDatabases


async def read(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return await read_revision(connection)


@pytest.mark.engines
async def test_a_change_is_counted_when_it_is_committed(sql_engine: AsyncEngine) -> None:
    assert await read(sql_engine) == 0
    async with sql_engine.begin() as connection:
        assert await bump_revision(connection) == 1
        assert await bump_revision(connection) == 2
    assert await read(sql_engine) == 2
    async with sql_engine.connect() as connection:
        await bump_revision(connection)
        await connection.rollback()
    assert await read(sql_engine) == 2


async def test_writers_at_once_lose_no_change(postgresql: PostgreSQLDatabases) -> None:
    """The first change of all among them, where there is no row to lock yet."""
    engine = open_sql(await postgresql.make_migrated())

    async def change() -> int:
        async with engine.begin() as connection:
            number = await bump_revision(connection)
            await asyncio.sleep(0)  # the others have begun too
            return number

    numbers = await asyncio.gather(*(change() for _ in range(8)))
    assert sorted(numbers) == list(range(1, 9))
    assert await read(engine) == 8
    await engine.dispose()
