"""One HTTP/1.1 exchange on a connection: the parser's callbacks and the reply its caller reads.

Made by wire_client.py. The body is buffered up to a bound; past it the socket is not read until
the caller has caught up.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Mapping

from multidict import CIMultiDict

from proxy.upstream_client import BrokenFault, UnreachableFault, UpstreamFault

MOST_BUFFERED_BYTES = 262_144
LARGEST_HEAD_BYTES = 65_536
GZIP_OR_ZLIB = 47  # window bits that let zlib recognise either header
ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})


class WireReply:
    """UpstreamReply over a connection of ours; also the response parser's protocol."""

    __slots__ = ("_abort", "_buffer", "_buffered", "_decoder", "_fault", "_head_bytes", "_pairs",
                 "_pause", "_resume", "_waiter", "has_head", "has_length", "headers", "is_complete",
                 "is_paused", "status")  # fmt: skip

    def __init__(
        self,
        abort: Callable[[], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.has_head = False
        self.has_length = False
        self.is_complete = False
        self.is_paused = False
        self._abort, self._pause, self._resume = abort, pause, resume
        self._pairs: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._fault: UpstreamFault | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._decoder: zlib._Decompress | None = None

    # --- the parser's side (names are httptools')

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > LARGEST_HEAD_BYTES:
            raise ValueError("response head too large")
        text = value.decode("utf-8", "surrogateescape")
        self._pairs.append((name.decode("ascii", "replace"), text))

    def take_head(self, status: int) -> bool:
        """Take the head just parsed; False for an interim (1xx) one."""
        pairs, self._pairs = self._pairs, []
        if status < 200:
            return False
        self.status = status
        headers = CIMultiDict(pairs)
        self.headers = headers
        self.has_length = "Content-Length" in headers or "Transfer-Encoding" in headers
        encoding = headers.get("Content-Encoding", "identity").strip().lower()
        if encoding in ENCODINGS:
            self._decoder = zlib.decompressobj(GZIP_OR_ZLIB)
        elif encoding not in {"", "identity"}:
            raise ValueError("unsupported content encoding")
        self.has_head = True
        self._wake()
        return True

    def on_body(self, data: bytes) -> None:
        if self._decoder is not None:
            data = self._decoder.decompress(data)
        self._buffer.append(data)
        self._buffered += len(data)
        if self._buffered > MOST_BUFFERED_BYTES and not self.is_paused:
            self.is_paused = True
            self._pause()
        self._wake()

    def complete(self) -> None:
        """The body has ended as HTTP says it should."""
        if self._decoder is not None and not self._decoder.eof:
            self.fail(BrokenFault("answer cut: compressed data ended early", may_have_run=True))
            return
        self.is_complete = True
        self._wake()

    def fail(self, fault: UpstreamFault) -> None:
        """The exchange broke; whoever waits is told."""
        if not self.is_complete and self._fault is None:
            self._fault = fault
            self._wake()

    def lose_connection(self, error: Exception | None) -> None:
        """The connection is gone: an end for a body without length, else a fault."""
        if self.has_head and not self.has_length and error is None:
            self.complete()
        elif self.has_head:
            self.fail(BrokenFault("answer cut: connection closed", may_have_run=True))
        else:
            self.fail(UnreachableFault("connection closed", may_have_run=True))

    # --- the caller's side

    async def wait_head(self) -> None:
        """Wait until status and headers are known; raises UpstreamFault."""
        while not self.has_head:
            await self._wait()

    async def read(self, limit_bytes: int) -> bytes:
        while not self.is_complete:
            if self._buffered > limit_bytes:
                raise BrokenFault(f"answer larger than {limit_bytes} bytes", may_have_run=True)
            if self.is_paused:
                self.is_paused = False
                self._resume()
            await self._wait()
        if self._buffered > limit_bytes:
            raise BrokenFault(f"answer larger than {limit_bytes} bytes", may_have_run=True)
        return self._take()

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            if self._buffer:
                yield self._take()
            elif self.is_complete:
                return
            else:
                await self._wait()

    def close(self) -> None:
        if not self.is_complete:
            self._abort()

    def _take(self) -> bytes:
        parts, self._buffer, self._buffered = self._buffer, [], 0
        if self.is_paused:
            self.is_paused = False
            self._resume()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _wait(self) -> None:
        self._raise_fault()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if not self._buffer:
            self._raise_fault()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
