"""Callers who write their bytes themselves. Used by the tests of callers' faults."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import orjson

from tests.proxy_gateway import API_KEY, ProxyGateway

PATIENCE_S = 5.0
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer off a socket."""

    status: int
    head: bytes
    body: bytes

    @property
    def code(self) -> str:
        """The code in an error of OpenAI's shape; fails on any other body."""
        assert b"application/json" in self.head
        error = orjson.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return str(error["code"])


class RawCaller:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, gateway: ProxyGateway) -> "RawCaller":
        return cls(*await asyncio.open_connection("127.0.0.1", gateway.port))

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)

    async def answer(self, *, has_body: bool = True) -> Answer:
        """Read one answer, by its length or to its connection's end."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(HEAD_END)
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            body = b""
            if has_body:
                count = int(length[1]) if length else -1
                body = await (self.reader.readexactly(count) if length else self.reader.read(-1))
        return Answer(int(head.split(b" ", 2)[1]), head, body)

    async def rest(self) -> bytes:
        """Read until the gateway closes, which it must."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read(-1)

    def leave(self) -> None:
        self.writer.transport.abort()


def request_of(document: dict[str, Any], *lines: str, path: str = "chat/completions") -> bytes:
    """Write a POST with a key and these further header lines."""
    return raw_request(orjson.dumps(document), *lines, path=path)


def raw_request(body: bytes, *lines: str, path: str = "chat/completions") -> bytes:
    head = [
        f"POST /v1/{path} HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {API_KEY}",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
