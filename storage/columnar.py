"""The columnar engine by URL: chDB in this process or a ClickHouse server, through one client.

Used by the ledger in the control process. The client is synchronous, and chDB's is not to be
shared between threads, so every call runs on the one thread of its Columnar.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import orjson
from clickhouse_connect.driver.exceptions import ClickHouseError

from config.errors import ConfigError

# One block per insert, or it would not be atomic; deduplicated by its token.
_INSERT_SETTINGS: dict[str, Any] = {
    "async_insert": 0,
    "input_format_parallel_parsing": 0,
    "insert_deduplicate": 1,
}
_TLS_SCHEME = "clickhouses"
_PORTS = {"clickhouse": 8123, _TLS_SCHEME: 8443}
# In seconds, unless the URL's query says otherwise. The driver's own are 10 and 300.
_TIMEOUTS = {"connect_timeout": 5, "send_receive_timeout": 30}


class ColumnarError(Exception):
    """The engine refused or could not be reached; whether a write took effect is not known."""


class Columnar:
    """Statements for one columnar engine. Every method raises ColumnarError."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="columnar")
        try:
            self._client = self._thread.submit(connect).result()
        except BaseException:
            self._thread.shutdown()
            raise

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Rows as JSON values. Values go in as {name:Type} parameters, never into the text."""
        data = await self._run(
            self._client.raw_query, sql, parameters=dict(parameters or {}), fmt="JSONEachRow"
        )
        return [orjson.loads(line) for line in data.splitlines()]

    async def insert_json_lines(self, table: str, lines: bytes, token: str) -> None:
        """Insert one JSON object a line. The same token again is dropped by the engine.

        All or nothing as long as the lines belong to one partition.
        """
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token}
        await self._run(
            self._client.raw_insert, table, insert_block=lines, fmt="JSONEachRow", settings=settings
        )

    async def command(self, sql: str) -> None:
        """Run a statement without rows."""
        await self._run(self._client.command, sql)

    async def close(self) -> None:
        """Wait for what is running and close; a chDB directory is free for others afterwards."""
        await self._run(self._client.close)
        self._thread.shutdown()

    async def _run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))
        except (ClickHouseError, OSError) as error:
            raise ColumnarError(f"{type(error).__name__}: {error}") from error


def open_columnar(url: str) -> Columnar:
    """Open chdb:///directory or clickhouse://user:password@host:port/database (clickhouses: TLS).

    ConfigError when another process has the directory, or the server cannot be reached. Every
    statement is bounded in time; a connection that broke is made anew for the next.
    """
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        return _open_chdb(url, Path(unquote(parts.path)))
    try:
        return Columnar(lambda: _connect(url))
    except (ClickHouseError, OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"the columnar store at {describe_place(url)} does not answer: {error}",
            "start the ClickHouse server, or correct APEX_COLUMNAR_URL",
        ) from error


def describe_place(url: str) -> str:
    """host:port of a server's URL."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def _connect(url: str) -> Any:
    parts = urlsplit(url)
    options: dict[str, Any] = {
        name: value for name, value in _TIMEOUTS.items() if f"{name}=" not in parts.query
    }
    if parts.scheme == _TLS_SCHEME:
        options["interface"] = "https"
    # A pool of its own, which it closes; of a session, statements at once would be refused.
    return clickhouse_connect.get_client(
        dsn=url,
        port=parts.port or _PORTS[parts.scheme],
        autogenerate_session_id=False,
        dedicated_pool=True,
        query_retries=0,
        **options,
    )


def _open_chdb(url: str, directory: Path) -> Columnar:
    if not directory.name:
        raise ConfigError(
            f"APEX_COLUMNAR_URL {url} names no directory", "write it as chdb:///absolute/directory"
        )
    _refuse_if_owned(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        return Columnar(lambda: clickhouse_connect.get_client(dsn=url))
    except (ClickHouseError, OSError) as error:
        _refuse_if_owned(directory)
        raise ConfigError(
            f"the columnar store {directory} cannot be opened: {error}",
            "check that the directory is writable and its disk not full",
        ) from error


def _refuse_if_owned(directory: Path) -> None:
    """Look at the engine's own lock before opening: a refused open writes noise to stderr."""
    status = directory / "status"
    if not status.is_file():
        return
    descriptor = os.open(status, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = status.read_text(errors="replace").partition("\n")[0].removeprefix("PID: ")
        raise ConfigError(
            f"the columnar store {directory} is already open in process {owner}",
            "one process owns an embedded store: stop that one, ask it through the admin API, "
            "or set APEX_COLUMNAR_URL to a ClickHouse server",
        ) from error
    finally:
        os.close(descriptor)
