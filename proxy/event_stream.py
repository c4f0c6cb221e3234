"""A streamed response whose chunks are one write each. Made by stream_reply.py.

aiohttp's writer takes three calls for a chunk and another for the end. Its own way stays for the
first chunk, which goes out with the headers, for callers that know no chunks (HTTP/1.0), and
whenever a slow caller has to be waited for.
"""

import asyncio

from aiohttp import web


class EventStream(web.StreamResponse):
    """Written to by `write`, or by `put` and `put_last` where nothing has to be waited for."""

    _send_headers_immediately = False
    _is_flowing = False  # headers and a first chunk are out, in chunked encoding

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a chunk by aiohttp's way, which waits for room; raises OSError."""
        await super().write(data)
        writer = self._payload_writer
        self._is_flowing = bool(getattr(writer, "chunked", False))

    def put(self, data: bytes) -> bool:
        """Send a chunk at once; False when it has to go by `write`. Raises OSError."""
        if not self._is_flowing:
            return False
        self._open_transport().write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def put_last(self, data: bytes) -> bool:
        """Send the last chunk and the end as one; False when they have to go by `write`."""
        if not self._is_flowing:
            return False
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        self._open_transport().write(chunk + b"0\r\n\r\n")
        self._eof_sent = True  # aiohttp has nothing more to write
        return True

    def _open_transport(self) -> asyncio.Transport:
        transport = self._req.transport if self._req is not None else None
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller is gone")
        return transport
