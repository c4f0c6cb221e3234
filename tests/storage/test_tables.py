"""The tables as queries name them are the tables that the migrations make."""

from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from storage.migrations import migrate_sql
from storage.sql import open_sql
from storage.tables import metadata


def _differences(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_tables_are_what_the_migrations_make(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/apex.db"
    await migrate_sql(url)
    engine = open_sql(url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    await engine.dispose()
    assert differences == []
