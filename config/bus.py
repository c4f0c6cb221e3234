"""The bus between the control process and the proxies: JSON lines over a Unix socket.

The proxies use `BusClient`; the server end is roles/bus_server.py. The bus only hastens news: a
proxy that misses a message finds the new snapshot on disk.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

MAX_LINE_BYTES = 65_536
MAX_UNIX_PATH_BYTES = 100  # the kernel takes 107 on Linux and 103 on macOS
FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 1.0

Message = Mapping[str, Any]
OnMessage = Callable[[Message], Message | None]

_log = logging.getLogger(__name__)


@contextmanager
def unix_address(path: Path) -> Iterator[str]:
    """An address of the socket at `path` short enough for the kernel, valid inside the block."""
    if len(os.fsencode(path)) <= MAX_UNIX_PATH_BYTES or sys.platform != "linux":
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def encode_line(message: Message) -> bytes:
    """One message as it goes over the bus."""
    return orjson.dumps(dict(message), option=orjson.OPT_APPEND_NEWLINE)


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The message of one line, or None (logged) where it is not a JSON object."""
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError:
        message = None
    if isinstance(message, dict):
        return message
    _log.warning("ignored a line on the bus that is no JSON object (%d bytes)", len(line))
    return None


class BusClient:
    """A proxy's end: connects, says `hello`, hands on every message, and connects again.

    `on_message` is called on the event loop with each message and must not block; what it
    returns, if anything, is sent back as the answer.
    """

    def __init__(self, path: Path, on_message: OnMessage, hello: Message) -> None:
        self._path = path
        self._on_message = on_message
        self._hello = hello
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_connected(self) -> bool:
        return self._writer is not None

    def send(self, message: Message) -> bool:
        """Send without waiting; False (and nothing is kept) while there is no connection."""
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(encode_line(message))
        return True

    async def run(self) -> None:
        """Stay connected until cancelled; a control process that is away is not an error."""
        delay_s = FIRST_RETRY_S
        while True:
            try:
                reader, writer = await self._connect()
            except OSError:
                delay_s = min(delay_s * 2, LONGEST_RETRY_S)
            else:
                delay_s = FIRST_RETRY_S
                await self._converse(reader, writer)
            await asyncio.sleep(delay_s)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            with unix_address(self._path) as address:
                # The stream layer's own connect would keep the path past this block.
                await asyncio.get_running_loop().sock_connect(connection, address)
            return await asyncio.open_unix_connection(sock=connection, limit=MAX_LINE_BYTES)
        except BaseException:
            connection.close()
            raise

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        try:
            self.send(self._hello)
            while line := await reader.readline():
                self._receive(line)
        except (OSError, ValueError) as error:  # ValueError: a line over MAX_LINE_BYTES
            _log.warning("the bus connection broke: %s", error)
        finally:
            self._writer = None
            writer.close()

    def _receive(self, line: bytes) -> None:
        message = decode_line(line)
        if message is None:
            return
        answer = self._on_message(message)
        if answer is not None:
            # The number lets the control process tell this answer from a late one.
            number = {"id": message["id"]} if "id" in message else {}
            self.send({**answer, **number})
