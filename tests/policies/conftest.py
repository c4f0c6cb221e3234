"""A migrated SQLite database, as the control process has it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.migrations import migrate_sql
from storage.sql import open_sql


@pytest.fixture
async def sql_engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    url = f"sqlite+aiosqlite:///{tmp_path}/apex.db"
    await migrate_sql(url)
    engine = open_sql(url)
    yield engine
    await engine.dispose()
