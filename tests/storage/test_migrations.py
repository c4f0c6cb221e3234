"""Migrations: from nothing, again, after an interruption; and the tables say what they must."""

import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, inspect, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.events import AttemptEnd, AttemptStart
from storage import migrations
from storage.columnar import Columnar, open_columnar
from storage.migrations import migrate_columnar, migrate_sql
from storage.sql import open_sql
from storage.sql_errors import SqlAwayError
from storage.tables import api_keys, metadata, tenants
from tests.servers import pick_port
from tests.sql_engines import PostgreSQLDatabases

FILES_DIR = Path(migrations.__file__).parent / "columnar"
ROOT = Path(__file__).resolve().parent.parent.parent
AT = datetime(2026, 11, 1, tzinfo=UTC)
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


@pytest.mark.engines
async def test_sql_is_migrated_once_and_matches_the_tables(sql_url: str) -> None:
    assert await migrate_sql(sql_url)
    assert await migrate_sql(sql_url)
    engine = open_sql(sql_url)
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


@pytest.mark.engines
async def test_a_store_of_a_newer_version_is_left_as_it_is(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'r9999'"))
    url = sql_engine.url.render_as_string(hide_password=False)
    assert not await migrate_sql(url)
    async with sql_engine.connect() as connection:
        [version] = (await connection.execute(text("SELECT * FROM alembic_version"))).scalars()
    assert version == "r9999"


async def test_migrators_of_one_server_do_not_collide(postgresql: PostgreSQLDatabases) -> None:
    """Each in a process of its own; without the lock, all but one fail over the first table."""
    url = postgresql.make_empty()
    code = (
        "import asyncio, sys; from storage.migrations import migrate_sql;"
        " sys.exit(not asyncio.run(migrate_sql(sys.argv[1])))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert [status for _, status in ended] == [0, 0, 0], ended


async def test_a_server_that_is_away_is_named_without_the_password() -> None:
    url = f"postgresql+asyncpg://u:secret@127.0.0.1:{pick_port()}/apex"
    with pytest.raises(SqlAwayError, match=r"127\.0\.0\.1:\d+ does not answer") as caught:
        await migrate_sql(url)
    assert "APEX_SQL_URL" in caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.engines
async def test_a_key_name_is_unique_within_its_tenant(sql_engine: AsyncEngine) -> None:
    row = {
        "tenant": "acme", "name": "app", "secret_hmac": "aa", "pepper_id": "k1", "last4": "abcd",
        "created_at": AT, "scopes": [],
    }  # fmt: skip
    async with sql_engine.begin() as connection:
        await connection.execute(insert(tenants).values(name="acme", created_at=AT))
        await connection.execute(insert(api_keys).values(key_id="one", **row))
    with pytest.raises(IntegrityError):
        async with sql_engine.begin() as connection:
            await connection.execute(insert(api_keys).values(key_id="two", **row))
