"""The SQL engine by URL: SQLite in a file, or a PostgreSQL server.

Used by the control process, the verbs that read SQL, and what runs beside lone proxies.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
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

CONNECT_TIMEOUT_S = 3.0
STATEMENT_TIMEOUT_S = 5.0
# The server ends a statement first, and says so; this is for a server that says nothing.
_SILENCE_MARGIN_S = 1.0
# A transaction whose process hangs keeps its locks no longer.
_IDLE_TRANSACTION_S = 30.0
_POOL: dict[str, Any] = {
    "pool_size": 4,
    "max_overflow": 8,
    "pool_timeout": CONNECT_TIMEOUT_S,
    "pool_recycle": 1800,
}


def open_sql(url: str, statement_timeout_s: float = STATEMENT_TIMEOUT_S) -> AsyncEngine:
    """Opens nothing yet but the directory; connections are made when used. Raises ConfigError.

    A server's connection is tried before each use and made anew when it is gone; connecting and
    each statement are bounded in time, and then raise what storage.sql_errors calls away.
    """
    try:
        parsed = make_url(url)
        engine = create_async_engine(
            parsed, pool_pre_ping=True, **_options(parsed, statement_timeout_s)
        )
    except (ArgumentError, ModuleNotFoundError) as error:
        raise ConfigError(
            f"APEX_SQL_URL cannot be served: {error}",
            "use sqlite+aiosqlite:///path or postgresql+asyncpg://user:password@host/name",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


def _options(url: URL, statement_timeout_s: float) -> dict[str, Any]:
    if url.get_backend_name() != "postgresql":
        return {}
    limits_ms = {
        "statement_timeout": statement_timeout_s,
        "lock_timeout": statement_timeout_s,
        "idle_in_transaction_session_timeout": _IDLE_TRANSACTION_S,
    }
    settings = {name: str(round(seconds * 1000)) for name, seconds in limits_ms.items()}
    return {
        **_POOL,
        "connect_args": {
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": statement_timeout_s + _SILENCE_MARGIN_S,
            "server_settings": {"application_name": "netra-apex", **settings},
        },
    }


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
