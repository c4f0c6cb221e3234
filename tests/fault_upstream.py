"""A scripted upstream over raw sockets: answers each call as a test tells it to, and remembers it.

    async with FaultUpstream() as up:
        up.script(http_error(429, retry_after="1"), ok_json())
        ... call up.url + "/chat/completions" ...
        assert up.calls[0].json()["model"] == "gpt-4o"

Replies are taken in order, one a call over all connections; when the script is used up, `fallback`
answers. fault_replies.py has the ready-made replies.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import orjson

from tests.fault_replies import End, Framing, Reply, ok_json

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger on, for zero seconds
MAX_HEAD_BYTES = 1 << 20
CHUNK_BYTES = 1 << 16


@dataclass(slots=True)
class Call:
    """What one request looked like from here; times are the event loop's, in seconds."""

    connection: int
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float
    sent_bytes: int = 0
    is_answered: bool = False  # the reply was carried out to its end
    is_client_gone: bool = False  # the caller closed before that
    left_at: float | None = None

    def json(self) -> Any:
        return orjson.loads(self.body)


class ClientLeftError(Exception):
    """The caller closed its side."""


@dataclass(slots=True)
class _Connection:
    """One accepted socket, and the bytes read ahead of need."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ahead: bytearray = field(default_factory=bytearray)

    async def fill(self) -> None:
        data = await self.reader.read(CHUNK_BYTES)
        if not data:
            raise ClientLeftError
        self.ahead += data

    async def read_until(self, mark: bytes) -> bytes:
        while (end := self.ahead.find(mark)) < 0:
            assert len(self.ahead) <= MAX_HEAD_BYTES, "the request head is too large"
            await self.fill()
        return self.take(end + len(mark))

    async def read_exactly(self, count: int) -> bytes:
        while len(self.ahead) < count:
            await self.fill()
        return self.take(count)

    def take(self, count: int) -> bytes:
        data = bytes(self.ahead[:count])
        del self.ahead[:count]
        return data

    async def pause(self, seconds: float | None) -> None:
        """Wait (None: without end), and raise as soon as the caller leaves."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.fill()
        except TimeoutError:
            return

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.writer.transport.abort()


class FaultUpstream:
    """The server; `calls` holds every request it has read, oldest first."""

    def __init__(self, fallback: Reply | None = None) -> None:
        self.calls: list[Call] = []
        self.connections = 0
        self.fallback = fallback or ok_json()
        self._replies: deque[Reply] = deque()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> "FaultUpstream":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise ExceptionGroup("the scripted upstream failed", failures)

    @property
    def port(self) -> int:
        assert self._server is not None, "use it in an 'async with'"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The base_url an OpenAI client is given."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *replies: Reply) -> None:
        """Add replies for the next calls."""
        self._replies.extend(replies)

    async def until(self, is_true: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait until what the calls show makes the condition true; raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(is_true)

    async def wait_for_calls(self, count: int, timeout_s: float = 5.0) -> None:
        await self.until(lambda: len(self.calls) >= count, timeout_s)

    async def wait_for_leaving(self, index: int = 0, timeout_s: float = 5.0) -> Call:
        """Wait until the caller of one call has left early, and return the call."""
        await self.until(
            lambda: len(self.calls) > index and self.calls[index].is_client_gone, timeout_s
        )
        return self.calls[index]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = _Connection(self.connections, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(connection)
        except (ClientLeftError, ConnectionError):
            pass  # noted in its call, if there was one
        except asyncio.CancelledError:
            writer.transport.abort()  # the test is over
            return
        writer.close()
        self._tasks.discard(task)

    async def _serve(self, connection: _Connection) -> None:
        if self._replies and self._replies[0].is_on_accept:
            _end_at_once(connection, self._replies.popleft())
            return
        while True:
            call = await self._read_call(connection)
            reply = self._replies.popleft() if self._replies else self.fallback
            self.calls.append(call)
            await self._notify()
            if not await self._answer(connection, call, reply):
                return

    async def _read_call(self, connection: _Connection) -> Call:
        head = (await connection.read_until(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        if headers.get("expect", "").lower() == "100-continue":
            await connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _read_body(connection, headers)
        now = asyncio.get_running_loop().time()
        return Call(connection.number, method, path, headers, body, now)

    async def _answer(self, connection: _Connection, call: Call, reply: Reply) -> bool:
        """Carry out the reply; True when the connection stays open for another call."""
        try:
            await _send(connection, call, reply)
        except (ClientLeftError, ConnectionError):
            call.is_client_gone = True
            call.left_at = asyncio.get_running_loop().time()
            return False
        finally:
            await self._notify()
        return reply.end is End.keep and reply.framing is not Framing.close

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _read_body(connection: _Connection, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await connection.read_exactly(int(headers.get("content-length", "0")))
    body = bytearray()
    while True:
        size = int((await connection.read_until(b"\r\n")).split(b";")[0], 16)
        data = await connection.read_exactly(size + 2)
        if not size:
            return bytes(body)
        body += data[:-2]


async def _send(connection: _Connection, call: Call, reply: Reply) -> None:
    if reply.delay_s:
        await connection.pause(reply.delay_s)
    room = reply.cut_at_byte
    for piece in _wire_pieces(reply):
        if isinstance(piece, float):
            await connection.pause(piece)
            continue
        data = piece if room is None else piece[: room - call.sent_bytes]
        await connection.write(data)
        call.sent_bytes += len(data)
        if room is not None and call.sent_bytes >= room:
            break
    match reply.end:
        case End.silence:
            await connection.pause(None)
        case End.reset:
            connection.reset()
    call.is_answered = True


def _end_at_once(connection: _Connection, reply: Reply) -> None:
    if reply.end is End.reset:
        connection.reset()


def _wire_pieces(reply: Reply) -> Iterator[bytes | float]:
    """Yield what goes on the wire: bytes as they are written, seconds to wait between them."""
    if reply.raw_head is not None:
        yield reply.raw_head
    elif not reply.is_headless:
        yield reply.head()
    for piece in reply.split_pieces():
        if isinstance(piece, float):
            yield piece
        elif reply.framing is Framing.chunked:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
        else:
            yield piece
    if reply.framing is Framing.chunked and reply.is_terminated:
        yield b"0\r\n\r\n"
