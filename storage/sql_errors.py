"""Tells a SQL store that is away from a statement that is wrong, and says it without secrets.

Used by the migrations, the control process and the admin API, which answer 503 when it is away.
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from config.errors import ConfigError

# What a statement on an engine of storage.sql may raise.
SQL_ERRORS = (SQLAlchemyError, OSError)

_DEFAULT_PORT = 5432
# Of files beside the store that are written between two statements.
_DISK_ERRORS = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS}
)
# Classes of SQLSTATE that speak of the server, not of the statement.
_AWAY_CLASSES = frozenset({
    "08",  # connection exception
    "28",  # the user or the password is refused
    "3D",  # no such database
    "53",  # out of connections, memory or disk
    "57",  # shutting down, starting up, statement timeout
    "58",  # its files cannot be read
})  # fmt: skip
_AWAY_STATES = frozenset({"25006", "55P03"})  # read-only, as a standby is; a lock not had in time
_HINTS = {
    "28": "correct user and password in APEX_SQL_URL",
    "3D": "create the database that APEX_SQL_URL names",
    "53": "give it more connections, memory or disk: its own log says which",
    "25006": "name the primary in APEX_SQL_URL: this server takes no writes",
}


class SqlAwayError(ConfigError):
    """The SQL store cannot be asked; whether a write under way took effect is not known."""


def is_sql_away(error: BaseException) -> bool:
    """Whether one of SQL_ERRORS says that the store is away; else the statement is at fault."""
    if isinstance(error, OSError):
        return error.errno not in _DISK_ERRORS
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError) or isinstance(error, IntegrityError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return isinstance(error.orig, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR
    state = _sqlstate(error)
    return error.connection_invalidated or state in _AWAY_STATES or state[:2] in _AWAY_CLASSES


def describe_sql_trouble(url: str, error: BaseException) -> SqlAwayError:
    """What to tell a person of a store that is away; the driver's own text stays out."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        reason = type(error).__name__ if not isinstance(error, DBAPIError) else str(error.orig)
        return SqlAwayError(
            f"the SQLite file {parsed.database} cannot be used: {reason}",
            "check that it is writable, its disk not full, and no other program writes to it",
        )
    server = f"the PostgreSQL server at {parsed.host}:{parsed.port or _DEFAULT_PORT}"
    state = _sqlstate(error)
    if state:
        hint = _HINTS.get(state, _HINTS.get(state[:2], "its own log says why"))
        return SqlAwayError(f"{server} refuses with SQLSTATE {state}", hint)
    return SqlAwayError(f"{server} does not answer", "start it, or correct APEX_SQL_URL")


@contextmanager
def naming_sql_trouble(url: str) -> Iterator[None]:
    """Inside the block a store that is away raises SqlAwayError; other errors pass."""
    try:
        yield
    except SQL_ERRORS as error:
        if not is_sql_away(error):
            raise
        raise describe_sql_trouble(url, error) from error


def _sqlstate(error: BaseException) -> str:
    original = error.orig if isinstance(error, DBAPIError) else None
    return str(getattr(original, "sqlstate", None) or "")
