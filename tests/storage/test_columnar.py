"""The columnar store on every engine: values, tokens, errors, and who may own it."""

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest

from config.errors import ConfigError
from storage.columnar import Columnar, ColumnarError, describe_place, open_columnar
from tests.columnar_engines import ColumnarServer
from tests.proxy.wire_peers import Authority
from tests.servers.clickhouse import ClickHouse

pytestmark = pytest.mark.engines
ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = """
CREATE TABLE sample (id Int64, name String, amount Nullable(Int64), tags Map(String, String))
ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100
"""


def lines(*ids: int) -> bytes:
    return b"\n".join(
        orjson.dumps({"id": id_, "name": f"n'{id_}\\ü", "amount": None, "tags": {"a": "b"}})
        for id_ in ids
    )


async def test_rows_come_back_as_they_went_in(columnar: Columnar) -> None:
    await columnar.command(TABLE)
    row = {"id": 2**63 - 1, "name": "o'brien \\ \n ünï", "amount": -5, "tags": {"k": 'v,="'}}
    await columnar.insert_json_lines("sample", orjson.dumps(row), "one")
    found = await columnar.query(
        "SELECT * FROM sample WHERE name = {name:String} AND id IN {ids:Array(Int64)}",
        {"name": row["name"], "ids": [1, 2**63 - 1]},
    )
    assert found == [row]


async def test_unknown_stays_apart_from_zero(columnar: Columnar) -> None:
    await columnar.command(TABLE)
    await columnar.insert_json_lines("sample", lines(1), "one")
    assert (await columnar.query("SELECT amount FROM sample")) == [{"amount": None}]


async def test_a_repeated_token_is_dropped(columnar: Columnar) -> None:
    await columnar.command(TABLE)
    for token in ("a:0-9", "a:0-9", "a:9-12"):
        await columnar.insert_json_lines("sample", lines(1, 2), token)
    assert await columnar.query("SELECT count() AS n FROM sample") == [{"n": 4}]


async def test_a_batch_with_one_bad_line_is_refused_whole(columnar: Columnar) -> None:
    await columnar.command(TABLE)
    bad = lines(1, 2) + b'\n{"id": "no number"}'
    with pytest.raises(ColumnarError):
        await columnar.insert_json_lines("sample", bad, "one")
    assert await columnar.query("SELECT count() AS n FROM sample") == [{"n": 0}]


async def test_an_error_of_the_engine_leaves_it_usable(columnar: Columnar) -> None:
    with pytest.raises(ColumnarError, match="no_such_table"):
        await columnar.query("SELECT * FROM no_such_table")
    assert await columnar.query("SELECT 1 AS one") == [{"one": 1}]


async def test_rows_are_there_after_closing_and_opening(columnar_url: str) -> None:
    first = open_columnar(columnar_url)
    await first.command(TABLE)
    await first.insert_json_lines("sample", lines(1, 2, 3), "one")
    await first.close()
    second = open_columnar(columnar_url)
    assert await second.query("SELECT count() AS n FROM sample") == [{"n": 3}]
    await second.close()


async def test_a_directory_has_one_owner(embedded: Columnar, tmp_path: Path) -> None:
    """The second process gets an error that names the first and says what to do."""
    code = (
        "import sys; from storage.columnar import open_columnar; "
        "from config.errors import ConfigError\n"
        "try: open_columnar(sys.argv[1])\n"
        "except ConfigError as error: print(error.message, '|', error.hint)"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, f"chdb://{tmp_path}/embedded"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "already open in process" in child.stdout
    assert "APEX_COLUMNAR_URL" in child.stdout
    assert not child.stderr
    with pytest.raises(ConfigError, match="already open in process"):
        open_columnar(f"chdb://{tmp_path}/embedded")
    assert await embedded.query("SELECT 1 AS one") == [{"one": 1}]


def test_a_killed_owner_leaves_the_directory_free(tmp_path: Path) -> None:
    code = (
        "import os, sys; from storage.columnar import open_columnar\n"
        "open_columnar(sys.argv[1]); os.kill(os.getpid(), 9)"
    )
    url = f"chdb://{tmp_path}/store"
    for _ in range(2):
        child = subprocess.run(
            [sys.executable, "-c", code, url], cwd=ROOT, check=False, capture_output=True
        )
        assert child.returncode == -9, child.stderr


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}") as caught:
        open_columnar(f"clickhouse://127.0.0.1:{port}/default")
    assert "start the ClickHouse server" in caught.value.hint


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_columnar(f"chdb://{tmp_path}/file/store")


@pytest.mark.parametrize("url", ["chdb://", "chdb://memory"])
def test_a_store_without_a_directory_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="names no directory"):
        open_columnar(url)


async def test_a_server_that_hangs_is_given_up_in_time_and_found_again() -> None:
    with ClickHouse() as server:
        store = open_columnar(f"{server.url()}?connect_timeout=1&send_receive_timeout=1")
        server.server.pause()
        with pytest.raises(ColumnarError, match="timed out"):
            await store.query("SELECT 1 AS one")
        server.server.resume()
        assert await store.query("SELECT 1 AS one") == [{"one": 1}]
        server.server.kill()
        with pytest.raises(ColumnarError, match="refused"):
            await store.query("SELECT 1 AS one")
        server.start()
        assert await store.query("SELECT 1 AS one") == [{"one": 1}]
        await store.close()


async def test_tls_is_checked_against_the_authority_that_the_url_names(
    columnar_server: ColumnarServer, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    context = authority.server("127.0.0.1")
    async with relay(columnar_server.port, tls=context) as port:
        url = f"clickhouses://127.0.0.1:{port}/default"
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} does not answer") as caught:
            await asyncio.to_thread(open_columnar, url)
        assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
        store = await asyncio.to_thread(open_columnar, f"{url}?ca_cert={authority.path}")
        assert await store.query("SELECT 1 AS one") == [{"one": 1}]
        await store.close()


def test_a_server_without_a_port_is_at_the_usual_one() -> None:
    assert describe_place("clickhouse://u:secret@h/name") == "h:8123"
    assert describe_place("clickhouses://u:secret@h/name") == "h:8443"


@asynccontextmanager
async def relay(port: int, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """TLS in front of a port of 127.0.0.1, as a load balancer has it; yields its own port."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
