"""One HTTP/1.1 exchange: parses the bytes of an answer into the reply its caller reads.

Made by wire_client.py, which feeds it. The body is buffered up to a bound; past it the socket is
not read until the caller has caught up. Once over, a reply no longer touches its connection, which
by then may carry the exchange of somebody else.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Protocol

import httptools

from proxy.unpacking import unpacker_for
from proxy.upstream_client import BrokenFault, TimeoutFault, UnreachableFault, UpstreamFault
from proxy.wire_head import CHUNKED, NO_HEADERS, WireHeaders, read_plain_head

MOST_BUFFERED_BYTES = 262_144
LARGEST_HEAD_BYTES = 65_536
SWITCHING_PROTOCOLS = 101
HEAD_OF_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Lane(Protocol):
    """What a reply may do to its connection."""

    def abort(self) -> None:
        """Cut it."""

    def pause(self) -> None:
        """Stop reading from it."""

    def resume(self) -> None:
        """Read on."""


class WireReply:
    """UpstreamReply over a connection of ours; also its response parser's protocol.

    Plain answers (see wire_head.py) are read without a parser but for their chunks. `deadline` is
    when an answer that is not whole yet fails with TimeoutFault: the connection's owner looks.
    """

    # Defaults are the class's own: an exchange writes down only what differs.
    status = 0
    headers: WireHeaders = NO_HEADERS
    is_over = False  # nothing more is expected from the connection: whole, broken or closed
    is_reusable = False  # the connection has nothing of this exchange left on it
    _parser: httptools.HttpResponseParser | None = None
    _head_bytes = _silent_bytes = _missing_bytes = 0
    has_head = _has_length = _is_interim = _is_complete = _is_paused = False
    _bound = MOST_BUFFERED_BYTES
    _buffer: bytes | bytearray = b""
    _fault: UpstreamFault | None = None
    _waiter: asyncio.Future[None] | None = None

    def __init__(self, lane: Lane, deadline: float = math.inf) -> None:
        self._lane: Lane | None = lane
        self.deadline = deadline

    @property
    def buffered_bytes(self) -> int:
        """How much of the body has arrived and waits for the caller."""
        return len(self._buffer)

    # --- the connection's side

    def feed(self, data: bytes) -> None:
        """Take what came off the wire; afterwards `is_over` and `is_reusable` say how it stands."""
        if self._parser is not None:
            self._parse(self._parser, data)
        elif self.has_head:
            self._take_in(data)
        elif not self.is_over:
            self._begin(data)

    def _begin(self, data: bytes) -> None:
        """Take the first bytes; what is not plain from here on is the parser's."""
        plain = read_plain_head(data)
        if plain is None:
            self._lines: list[bytes] = []
            self._parser = httptools.HttpResponseParser(self)
            self._parse(self._parser, data)
            return
        self.status, self.headers, size_bytes, length_bytes = plain
        self.has_head = self._has_length = True
        if len(data) - size_bytes == length_bytes:  # all of it, and no more
            self.is_reusable = self._is_complete = True
            self._buffer = data[size_bytes:]
            self._end()
        elif length_bytes == CHUNKED:
            parser = self._parser = httptools.HttpResponseParser(self)
            parser.feed_data(HEAD_OF_CHUNKS)
            if len(data) > size_bytes:
                self._parse(parser, data[size_bytes:])
            self._wake()
        else:
            self._missing_bytes = length_bytes
            self._take_in(data[size_bytes:])

    def _take_in(self, data: bytes) -> None:
        """Take bytes of a body of known length."""
        if self.is_over:
            return
        missing_bytes = self._missing_bytes - len(data)
        if missing_bytes > 0:
            self._missing_bytes = missing_bytes
            self.on_body(data)
            return
        # Bytes that nobody asked for may follow: the answer is whole, the connection is not clean.
        self.is_reusable = missing_bytes == 0
        whole = data[:missing_bytes] if missing_bytes else data
        self._buffer = self._buffer + whole if self._buffer else whole
        self._complete()

    def _parse(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        self._silent_bytes += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.is_reusable = False  # also when the answer was whole and rubbish follows it
            cause = error.__context__ or error
            what = str(cause) if isinstance(cause, OversizedHeadError) else "not valid HTTP"
            self.fail(BrokenFault(f"answer broken: {what}", may_have_run=True))
        else:
            # The parser itself keeps a header line, however long, until its end.
            if self._silent_bytes > LARGEST_HEAD_BYTES:
                self.fail(BrokenFault(f"answer broken: {OversizedHeadError()}", may_have_run=True))

    def lose_connection(self, error: Exception | None) -> None:
        """The connection is gone: an end for a body without length, else a fault."""
        if self.has_head and not self._has_length and error is None:
            self._complete()
        elif self.has_head:
            self.fail(BrokenFault("answer cut: connection closed", may_have_run=True))
        else:
            self.fail(UnreachableFault("connection closed", may_have_run=True))

    def fail(self, fault: UpstreamFault) -> None:
        """The exchange broke; whoever waits is told. Without effect once it is over."""
        if not self.is_over:
            self._fault = fault
            self._end()

    def expire(self) -> None:
        """The deadline has passed: tell whoever waits, and cut the connection."""
        self._cut(TimeoutFault("no answer in time", may_have_run=True))

    # --- the parser's callbacks (names are httptools')

    def on_message_begin(self) -> None:
        if self.is_over:
            raise ValueError("another answer follows the one asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > LARGEST_HEAD_BYTES:
            raise OversizedHeadError
        if not self.has_head:  # what comes later are trailers: they are dropped
            self._lines.append(b"%b:%b\r\n" % (name, value))

    def on_headers_complete(self) -> None:
        if self.has_head:
            return  # it was plain, and this is the parser's stand-in for it
        status = self._parser.get_status_code() if self._parser else 0
        if status < 100 or status == SWITCHING_PROTOCOLS:
            raise ValueError("not a status of an answer")
        lines, self._lines = self._lines, []
        self._is_interim = status < 200
        if self._is_interim:
            return
        self.status = status
        self.headers = headers = WireHeaders(b"\r\n" + b"".join(lines))
        self._has_length = "Content-Length" in headers or "Transfer-Encoding" in headers
        self.has_head = True
        self._wake()

    def on_body(self, data: bytes) -> None:
        self._silent_bytes = 0
        buffer = self._buffer
        if not buffer:
            self._buffer = data
        elif isinstance(buffer, bytearray):
            buffer += data
        else:  # one buffer, not a list: an upstream may send single bytes
            self._buffer = bytearray(buffer)
            self._buffer += data
        if len(self._buffer) > self._bound and not self._is_paused and self._lane is not None:
            self._is_paused = True
            self._lane.pause()
        self._wake()

    def on_message_complete(self) -> None:
        if self._is_interim or self._parser is None:
            return
        self.is_reusable = self._parser.should_keep_alive()
        self._complete()

    # --- the caller's side

    def take_whole(self, limit_bytes: int) -> bytes | None:
        """Return the whole body where it has come already, as small ones do with their head."""
        if not self._is_complete or len(self._buffer) > limit_bytes:
            return None
        return None if "Content-Encoding" in self.headers else self._take()

    async def read(self, limit_bytes: int) -> bytes:
        """Read the whole body; BrokenFault when cut or larger than the limit, or TimeoutFault."""
        if "Content-Encoding" in self.headers:
            return await self._read_packed(limit_bytes)
        self._bound = limit_bytes
        self._read_on()
        while not self._is_complete and len(self._buffer) <= limit_bytes:
            await self.change()
        if len(self._buffer) > limit_bytes:
            raise _oversized(limit_bytes)
        return self._take()

    async def _read_packed(self, limit_bytes: int) -> bytes:
        body = bytearray()
        async for piece in self.chunks():
            body += piece
            if len(body) > limit_bytes:
                raise _oversized(limit_bytes)
        return bytes(body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives; BrokenFault when cut, or TimeoutFault."""
        unpacker = unpacker_for(",".join(self.headers.getall("Content-Encoding")))
        while True:
            if self._buffer:
                data = self._take()
                if unpacker is None:
                    yield data
                    continue
                for piece in unpacker.pieces(data):
                    yield piece
            elif self._is_complete:
                if unpacker is not None:
                    unpacker.finish()
                return
            else:
                await self.change()

    def close(self) -> None:
        """Cut the connection unless the answer is whole; whoever still reads gets BrokenFault."""
        if not self.is_over:
            self._cut(BrokenFault("answer closed before its end", may_have_run=True))

    # --- inside

    def _cut(self, fault: UpstreamFault) -> None:
        lane = self._lane
        self.fail(fault)
        if lane is not None:
            lane.abort()

    def _complete(self) -> None:
        """The body has ended as HTTP says it should."""
        if not self.is_over:
            self._is_complete = True
            if self._is_paused:
                self._read_on()
            self._end()

    def _end(self) -> None:
        """Let go of the connection; the parser goes too, as it and this object hold each other."""
        self.is_over = True
        self._lane = self._parser = None
        self._wake()

    def _take(self) -> bytes:
        data, self._buffer = self._buffer, b""
        if self._is_paused:
            self._read_on()
        return data if type(data) is bytes else bytes(data)

    def _read_on(self) -> None:
        if self._is_paused and self._lane is not None:
            self._is_paused = False
            self._lane.resume()

    def change(self) -> asyncio.Future[None]:
        """What to wait for until something changes; raises the fault that ended the exchange."""
        if self._fault is not None:
            raise self._fault
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        return waiter

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)


class OversizedHeadError(ValueError):
    """Headers, interim answers, trailers or chunk extensions without end."""

    def __str__(self) -> str:
        return f"more than {LARGEST_HEAD_BYTES} bytes of headers"


def _oversized(limit_bytes: int) -> BrokenFault:
    return BrokenFault(f"answer larger than {limit_bytes} bytes", may_have_run=True)
