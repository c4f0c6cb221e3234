"""The tables as queries name them are the tables that the migrations make."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.tables import metadata


def _differences(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


@pytest.mark.engines
async def test_tables_are_what_the_migrations_make(sql_engine: AsyncEngine) -> None:
    async with sql_engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    assert differences == []
