"""The SQL engine: durable SQLite settings on every connection, and errors that say what to do."""

from pathlib import Path

import pytest
from sqlalchemy import text

from config.errors import ConfigError
from storage.sql import open_sql


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
