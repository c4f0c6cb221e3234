"""Row 27 of the fault table: a version and the one before it run side by side on one store.

A revision adds; what an older version reads or writes stays. Removing is for the version after.
"""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine

from storage import migrations
from storage.migrations import migrate_sql, split_statements
from storage.sql import open_sql
from tests.storage.past_tables import PAST_ROWS

pytestmark = pytest.mark.engines

SCRIPTS = ScriptDirectory(str(Path(migrations.__file__).parent))
REVISIONS = [each.revision for each in SCRIPTS.walk_revisions()][::-1]
COLUMNAR_FILES = sorted((Path(migrations.__file__).parent / "columnar").glob("*.sql"))

# A mark more only has the hour summed once more; what is materialised is so again.
MAY_RUN_AGAIN = ("INSERT INTO USAGE_HOUR_MARKS ", "ALTER TABLE USAGE_EVENTS MATERIALIZE ")

Columns = dict[tuple[str, str], tuple[str, bool, bool]]  # (type, may be null, has a default)
Bounds = set[tuple[str, str, str]]


def read_columns(connection: sa.Connection) -> Columns:
    inspector = sa.inspect(connection)
    return {
        (table, column["name"]): (
            str(column["type"]),
            column["nullable"],
            column["default"] is not None,
        )
        for table in inspector.get_table_names()
        for column in inspector.get_columns(table)
    }


def read_bounds(connection: sa.Connection) -> Bounds:
    """What may refuse a row: unique, check and foreign keys, as (table, kind, columns)."""
    inspector = sa.inspect(connection)
    found: Bounds = set()
    for table in inspector.get_table_names():
        for each in inspector.get_unique_constraints(table):
            found.add((table, "unique", ",".join(each["column_names"])))
        for index in inspector.get_indexes(table):
            if index["unique"]:
                found.add((table, "unique", ",".join(str(name) for name in index["column_names"])))
        for check in inspector.get_check_constraints(table):
            found.add((table, "check", check["sqltext"]))
        for key in inspector.get_foreign_keys(table):
            found.add((table, "foreign key", ",".join(key["constrained_columns"])))
    return found


async def read_schema(url: str) -> tuple[Columns, Bounds]:
    engine = open_sql(url)
    async with engine.connect() as connection:
        schema = await connection.run_sync(read_columns), await connection.run_sync(read_bounds)
    await engine.dispose()
    return schema


async def test_every_sql_revision_only_adds(sql_url: str) -> None:
    await migrate_sql(sql_url, REVISIONS[0])
    columns, bounds = await read_schema(sql_url)
    for revision in REVISIONS[1:]:
        await migrate_sql(sql_url, revision)
        new_columns, new_bounds = await read_schema(sql_url)
        tables = {table for table, _ in columns}
        for place, (kind, is_nullable, _) in columns.items():
            assert place in new_columns, f"{revision} removes {place}"
            assert new_columns[place][:2] == (kind, is_nullable), f"{revision} changes {place}"
        for place in new_columns.keys() - columns.keys():
            _, is_nullable, has_default = new_columns[place]
            is_written_blindly = place[0] not in tables or is_nullable or has_default
            assert is_written_blindly, f"{revision} adds {place}, which older versions leave out"
        tighter = {bound for bound in new_bounds - bounds if bound[0] in tables}
        assert not tighter, f"{revision} refuses what older versions write: {tighter}"
        columns, bounds = new_columns, new_bounds


@pytest.mark.parametrize("revision", sorted(PAST_ROWS))
async def test_what_past_versions_write_and_read_is_still_served(
    sql_engine: AsyncEngine, revision: str
) -> None:
    async with sql_engine.begin() as connection:
        for table, row in PAST_ROWS[revision]:
            await connection.execute(sa.insert(table).values(row))
    async with sql_engine.connect() as connection:
        for table, row in PAST_ROWS[revision]:
            found = (await connection.execute(sa.select(table))).mappings().one()
            # SQLite keeps no time zone.
            assert {name: found[name] for name in row if name != "created_at"} == {
                name: value for name, value in row.items() if name != "created_at"
            }


@pytest.mark.parametrize("path", COLUMNAR_FILES, ids=lambda path: path.stem)
def test_columnar_files_only_add_and_may_run_twice(path: Path) -> None:
    for statement in split_statements(path.read_text("utf-8")):
        words = " ".join(statement.upper().split())
        is_safe = "IF NOT EXISTS" in words or words.startswith(MAY_RUN_AGAIN)
        assert is_safe, f"{path.name} cannot be run again: {statement[:80]}"
        refused = ("DROP ", "RENAME ", "MODIFY ", "TRUNCATE ", "DELETE ")
        assert not any(word in words for word in refused), f"{path.name}: {statement[:80]}"
