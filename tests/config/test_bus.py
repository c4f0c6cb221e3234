"""The proxies' end of the bus, against a plain Unix socket server that the test scripts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from config.bus import BusClient, Message, decode_line, unix_address
from config.tasks import TaskOwner
from tests.gateway import wait_until

HELLO = {"type": "hello", "role": "proxy", "pid": 1, "index": 0}


class ScriptedServer:
    """Takes one connection after another; the test reads and writes lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        with unix_address(self.path) as address:
            self._server = await asyncio.start_unix_server(self._accept, address)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.put_nowait((reader, writer))


@asynccontextmanager
async def running(client: BusClient) -> AsyncIterator[None]:
    tasks = TaskOwner()
    tasks.start(client.run(), "bus client")
    try:
        yield
    finally:
        await tasks.stop()


async def read_line(reader: asyncio.StreamReader) -> Message:
    async with asyncio.timeout(5):
        message: Message = orjson.loads(await reader.readline())
        return message


async def test_says_hello_hands_on_messages_and_answers_with_their_number(tmp_path: Path) -> None:
    received: list[Message] = []

    def on_message(message: Message) -> Message | None:
        received.append(message)
        return {"type": "purged", "removed": 3} if message["type"] == "purge" else None

    server = ScriptedServer(tmp_path / "bus.sock")
    await server.start()
    async with running(BusClient(server.path, on_message, HELLO)):
        reader, writer = await server.connections.get()
        assert await read_line(reader) == HELLO
        writer.write(b'{"type":"snapshot","number":4}\nnot json\n[1]\n')
        writer.write(b'{"type":"purge","tenant":null,"id":7}\n')
        assert await read_line(reader) == {"type": "purged", "removed": 3, "id": 7}
        writer.close()
    assert [message["type"] for message in received] == ["snapshot", "purge"]
    await server.stop()


async def test_connects_again_after_the_server_was_away(tmp_path: Path) -> None:
    client = BusClient(tmp_path / "bus.sock", lambda _: None, HELLO)
    assert not client.send(HELLO)
    async with running(client):
        server = ScriptedServer(tmp_path / "bus.sock")
        await server.start()  # later than the client
        _, writer = await server.connections.get()
        await wait_until(lambda: client.is_connected)
        writer.close()
        await server.stop()
        await wait_until(lambda: not client.is_connected)
        await server.start()
        reader, writer = await server.connections.get()
        assert await read_line(reader) == HELLO
        writer.close()
        await server.stop()


async def test_a_line_without_end_breaks_the_connection_not_the_client(tmp_path: Path) -> None:
    server = ScriptedServer(tmp_path / "bus.sock")
    await server.start()
    async with running(BusClient(server.path, lambda _: None, HELLO)):
        _, writer = await server.connections.get()
        writer.write(b"x" * 200_000)
        reader, second = await server.connections.get()
        assert await read_line(reader) == HELLO
        writer.close()
        second.close()
    await server.stop()


async def test_a_long_path_is_reached_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    server = ScriptedServer(deep / "bus.sock")
    await server.start()
    async with running(BusClient(server.path, lambda _: None, HELLO)):
        reader, writer = await server.connections.get()
        assert await read_line(reader) == HELLO
        writer.close()
    await server.stop()


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b"\xff"])
def test_what_is_no_object_is_no_message(line: bytes) -> None:
    assert decode_line(line) is None
