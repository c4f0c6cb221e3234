"""Documents that go out as one write of ready bytes, under aiohttp's connection handling.

Called by document_reply.py. Building and serialising a header mapping costs a tenth of a relayed
call; aiohttp still does keep-alive and the life of the connection. Large bodies and old clients
take aiohttp's own path, which waits for slow readers and knows HTTP/1.0.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from aiohttp import HttpVersion, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

LARGEST_READY_BYTES = 65_536
REASONS = {status.value: status.phrase for status in HTTPStatus}


class Asked(Protocol):
    """What a reply must know of its request."""

    @property
    def version(self) -> HttpVersion:
        """HTTP version of the request."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may carry another request."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The connection, None once it is gone."""


def document_response(
    request: Asked, status: int, headers: Mapping[str, str], body: bytes
) -> web.StreamResponse:
    """Build a JSON reply; header values must be free of line breaks (wire_headers sees to it)."""
    if request.version == HttpVersion11 and len(body) <= LARGEST_READY_BYTES:
        return ReadyResponse(status, headers, body)
    return web.Response(
        status=status, body=body, content_type="application/json", headers=dict(headers)
    )


class ReadyResponse(web.StreamResponse):
    """A response whose bytes are made here; of its parent it keeps the type, not the machinery."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        # The parent's __init__ would build header maps and state that nobody reads.
        self._status = status
        self._ready_headers = headers
        self._ready_body = body

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._status

    def write_to(self, request: Asked) -> None:
        """Write everything at once; a transport that is gone is as good as written to."""
        if self._eof_sent:
            return
        self._eof_sent = True
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        transport = request.transport
        if transport is not None:
            transport.write(self._head() + self._ready_body)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything, when it is aiohttp that sends the response."""
        self.write_to(request)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Everything is written."""
        assert not data

    def _head(self) -> bytes:
        lines = [f"HTTP/1.1 {self._status} {REASONS.get(self._status, '')}"]
        lines += [f"{name}: {value}" for name, value in self._ready_headers.items()]
        if not self._keep_alive:
            lines.append("Connection: close")
        lines.append(
            "Content-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(self._ready_body)}\r\n\r\n"
        )
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")
