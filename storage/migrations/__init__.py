"""Brings both stores to the present schema: alembic for SQL, numbered .sql files for columnar.

Called by the control process at start and by `python main.py migrate`; safe to repeat.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage.sql import open_sql
from storage.sql_errors import naming_sql_trouble

if TYPE_CHECKING:  # clickhouse_connect takes 0.3 s to import, and SQL alone needs none of it
    from storage.columnar import Columnar

_HERE = Path(__file__).parent
_APPLIED_TABLE = """
CREATE TABLE IF NOT EXISTS applied_migrations (name String)
ENGINE = MergeTree ORDER BY name
"""

# A step may rewrite a table, and wait for another migrator's.
SQL_STEP_TIMEOUT_S = 120.0
# Any number that nobody else locks in this database.
_LOCK_KEY = 0x6170_6578  # "apex"

_log = logging.getLogger(__name__)


async def migrate_sql(url: str, revision: str = "head") -> bool:
    """Apply the SQL revisions that are missing, all or none. Raises SqlAwayError.

    Two migrators do not collide: the second waits, then finds nothing to do. False where the
    store is of a newer version, which every version before it can work on (docs/engines.md).
    """
    engine = open_sql(url, statement_timeout_s=SQL_STEP_TIMEOUT_S)
    try:
        with naming_sql_trouble(url):
            async with engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    lock = text("SELECT pg_advisory_xact_lock(:key)")
                    await connection.execute(lock, {"key": _LOCK_KEY})
                return await connection.run_sync(_upgrade, revision)
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
        for statement in split_statements(path.read_text("utf-8")):
            await columnar.command(statement)
        name = path.stem
        await columnar.insert_json_lines("applied_migrations", orjson.dumps({"name": name}), name)
    return [path.stem for path in missing]


def _upgrade(connection: Connection, revision: str) -> bool:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    heads = MigrationContext.configure(connection).get_current_heads()
    newer = sorted(set(heads) - known)
    if newer:
        _log.info("the SQL store is of a newer version (%s): left as it is", ", ".join(newer))
        return False
    command.upgrade(config, revision)
    return True


def split_statements(text: str) -> list[str]:
    """Statements end with a semicolon at a line's end; lines beginning with -- are comments."""
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    parts = "\n".join(lines).split(";\n")
    return [part.strip().rstrip(";") for part in parts if part.strip().rstrip(";")]
