"""Migrations: from nothing, again, after an interruption; and the tables say what they must."""

from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from ledger.events import AttemptEnd, AttemptStart
from storage import migrations
from storage.columnar import Columnar, open_columnar
from storage.migrations import migrate_columnar, migrate_sql
from storage.sql import open_sql
from storage.tables import metadata

FILES_DIR = Path(migrations.__file__).parent / "columnar"
ALL_FILES = sorted(path.stem for path in FILES_DIR.glob("*.sql"))


@pytest.mark.engines
async def test_columnar_files_are_applied_once(columnar_url: str) -> None:
    store = open_columnar(columnar_url)
    assert await migrate_columnar(store) == ALL_FILES
    assert await migrate_columnar(store) == []
    await store.close()


@pytest.mark.engines
async def test_a_file_that_was_interrupted_is_applied_again(columnar: Columnar) -> None:
    await columnar.command("TRUNCATE TABLE applied_migrations")
    assert await migrate_columnar(columnar) == ALL_FILES


async def test_every_field_of_an_event_has_its_column(embedded: Columnar) -> None:
    rows = await embedded.query(
        "SELECT name FROM system.columns WHERE table = 'usage_events' "
        "AND database = currentDatabase()"
    )
    columns = {row["name"] for row in rows}
    events = {field.name for kind in (AttemptStart, AttemptEnd) for field in fields(kind)}
    assert events <= columns
    assert columns - events == {
        *("event_id", "start_id", "at", "writer", "segment", "log_offset", "next_offset"),
        *("cost_picousd", "price_state", "gross_baseline_picousd", "baseline_price_state"),
        "figures",
    }


async def test_sql_is_migrated_once_and_matches_the_tables(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/deep/apex.db"
    await migrate_sql(url)
    await migrate_sql(url)
    engine = open_sql(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(
            lambda sync: {
                name: {column["name"] for column in inspect(sync).get_columns(name)}
                for name in inspect(sync).get_table_names()
            }
        )
    await engine.dispose()
    assert found.pop("alembic_version") == {"version_num"}
    assert found == {
        name: {column.name for column in table.columns} for name, table in metadata.tables.items()
    }


async def test_a_key_name_is_unique_within_its_tenant(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/apex.db"
    await migrate_sql(url)
    engine = open_sql(url)
    insert = text(
        "INSERT INTO api_keys (key_id, tenant, name, secret_hmac, pepper_id, last4, created_at, "
        "scopes) VALUES (:id, 'acme', 'app', 'aa', 'k1', 'abcd', '2026-11-01', '[]')"
    )
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO tenants (name, created_at) VALUES ('acme', '2026-11-01')")
        )
        await connection.execute(insert, {"id": "one"})
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(insert, {"id": "two"})
    await engine.dispose()
