"""The SQL engine by URL: SQLite in a file, or PostgreSQL. Used by the control process alone."""

from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from config.errors import ConfigError

# Keys and state are few and precious: every commit is synced. Readers do not wait for the writer.
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
)


def open_sql(url: str) -> AsyncEngine:
    """Opens nothing yet but the directory; connections are made when used. Raises ConfigError."""
    try:
        parsed = make_url(url)
        engine = create_async_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise ConfigError(
            f"APEX_SQL_URL cannot be served: {error}",
            "use sqlite+aiosqlite:///path, or install the driver the URL names (asyncpg)",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
