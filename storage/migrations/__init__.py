"""Brings both stores to the present schema: alembic for SQL, numbered .sql files for columnar.

Called by the control process at start and by `python main.py migrate`; safe to repeat.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from storage.sql import open_sql

if TYPE_CHECKING:  # clickhouse_connect takes 0.3 s to import, and SQL alone needs none of it
    from storage.columnar import Columnar

_HERE = Path(__file__).parent
_APPLIED_TABLE = """
CREATE TABLE IF NOT EXISTS applied_migrations (name String)
ENGINE = MergeTree ORDER BY name
"""


async def migrate_sql(url: str) -> None:
    """Apply the SQL revisions that are missing, each in a transaction."""
    engine = open_sql(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def migrate_columnar(columnar: "Columnar") -> list[str]:
    """Apply the columnar files that are missing, in order of their names; returns their names.

    A file may be run again after a crash in the middle: its statements say IF NOT EXISTS.
    """
    await columnar.command(_APPLIED_TABLE)
    rows = await columnar.query("SELECT name FROM applied_migrations")
    applied = {row["name"] for row in rows}
    missing = [
        path for path in sorted((_HERE / "columnar").glob("*.sql")) if path.stem not in applied
    ]
    for path in missing:
        for statement in _statements(path.read_text("utf-8")):
            await columnar.command(statement)
        name = path.stem
        await columnar.insert_json_lines("applied_migrations", orjson.dumps({"name": name}), name)
    return [path.stem for path in missing]


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _statements(text: str) -> list[str]:
    """Statements end with a semicolon at a line's end; lines beginning with -- are comments."""
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    parts = "\n".join(lines).split(";\n")
    return [part.strip().rstrip(";") for part in parts if part.strip().rstrip(";")]
