"""Where callers connect: plain calls are answered here, everything else is handed to aiohttp.

Made by server.py for each connection. A plain call is a whole POST of known length to a dialect's
path (known_heads.py); it takes one task, or none when its answer is at hand. Whatever is not plain
turns the connection over to aiohttp's own protocol, for good and with all bytes that came.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol, cast

from aiohttp import HttpVersion11, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.tcp_helpers import tcp_keepalive
from multidict import CIMultiDictProxy

from proxy.known_heads import KnownHead, PlainHead
from proxy.ready_response import ReadyResponse

if TYPE_CHECKING:
    from proxy.server import DirectServer

logger = logging.getLogger(__name__)

LARGEST_DIRECT_BYTES = 65_536  # what is longer is not taken in before its caller is known
MOST_PIPELINED_BYTES = 65_536


class Answerer(Protocol):
    """Who answers the calls of one path."""

    def answer_at_hand(self, request: "DirectRequest") -> ReadyResponse | None:
        """Return the answer where nothing has to be waited for, else None."""

    def answer(self, request: "DirectRequest") -> Awaitable[web.StreamResponse]:
        """Answer."""

    def note_departure(self, request: "DirectRequest") -> None:
        """Record a caller who left before the body was whole."""


class DirectRequest:
    """A plain call: what the pipeline reads of a request, without what it does not."""

    __slots__ = ("_whole", "body", "front", "head", "token")

    version = HttpVersion11
    keep_alive = True

    def __init__(self, head: KnownHead, token: str, body: bytes, front: "Front") -> None:
        self.head = head
        self.token = token
        self.body = body
        self.front = front
        self._whole: web.Request | None = None

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Headers but the key; the length is that of the first call with this head."""
        return self.head.message.headers

    @property
    def transport(self) -> asyncio.Transport | None:
        """The connection, None once it is gone."""
        return self.front.transport

    def whole(self) -> web.Request:
        """aiohttp's own request, for answers that aiohttp writes."""
        if self._whole is None:
            self._whole = self.front.make_request(self.head)
        return self._whole


class Front(BaseProtocol):
    """One caller's connection for as long as its calls are plain."""

    __slots__ = ("_begun", "_busy_since", "_needed", "_server", "_task", "_unread", "is_closing")

    ssl_context = peername = sockname = None  # read by aiohttp's requests, used by none of ours

    def __init__(self, server: "DirectServer", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._server = server
        self._task: asyncio.Task[None] | None = None
        self._unread: bytes | bytearray = b""
        self._begun: PlainHead | None = None  # of a call whose body is still coming,
        self._needed = 0  # and how many bytes it takes in all
        self._busy_since = 0.0
        self.is_closing = False

    # --- the connection's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        tcp_keepalive(cast("asyncio.Transport", transport))
        self._busy_since = self._loop.time()
        self._server.fronts.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._server.fronts.discard(self)
        if self._task is not None:
            self._task.cancel()  # its caller is gone
        elif self._begun is not None:
            head, token, _ = self._begun
            head.answerer.note_departure(DirectRequest(head, token, b"", self))

    def data_received(self, data: bytes) -> None:
        is_held = self._task is not None or self._paused
        if not is_held and not self._unread:
            self._read(data)
            return
        if isinstance(self._unread, bytes):
            self._unread = bytearray(self._unread)
        self._unread += data
        if is_held:
            # A caller that sends ahead waits for its turn, and for itself to read what it got.
            if len(self._unread) > MOST_PIPELINED_BYTES and self.transport is not None:
                self.transport.pause_reading()
        elif len(self._unread) >= self._needed:
            self._read_unread()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_on()

    def eof_received(self) -> None:
        return None

    # --- reading

    def _read_unread(self) -> None:
        data, self._unread, self._begun = bytes(self._unread), b"", None
        self._read(data)

    def _read(self, data: bytes) -> None:
        """Take one call from the bytes, or turn them over."""
        end = data.find(b"\r\n\r\n")
        found = self._server.heads.find(data[: end + 2]) if end > 0 else None
        if found is None or found.length > LARGEST_DIRECT_BYTES or self.is_closing:
            self.hand_over(data)
            return
        head, token, length = found
        rest = len(data) - end - 4 - length
        if rest < 0:
            self._unread, self._needed, self._begun = data, len(data) - rest, found
            self._busy_since = self._loop.time()
            return
        body = data[end + 4 : end + 4 + length]
        if rest:
            self._unread = data[end + 4 + length :]
        self._begin(DirectRequest(head, token, body, self))

    def _begin(self, request: DirectRequest) -> None:
        self._server.requests_count += 1
        reply = request.head.answerer.answer_at_hand(request)
        if reply is not None:
            reply.write_to(request)
            self._end(reply)
        else:
            self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: DirectRequest) -> None:
        try:
            reply = await request.head.answerer.answer(request)
            if type(reply) is ReadyResponse:
                reply.write_to(request)
            else:
                await reply.prepare(request.whole())
                await reply.write_eof()
        except Exception as error:
            if not isinstance(error, ConnectionError):  # the caller left before the answer was out
                logger.error("unexpected error on a connection", exc_info=error)
            self.force_close()
            return
        finally:
            self._task = None
        self._end(reply)

    def _end(self, reply: web.StreamResponse) -> None:
        """One call is answered: close, wait for the next, or take it where it has come."""
        transport = self.transport
        if transport is None:
            return
        if not reply.keep_alive or self.is_closing:
            transport.close()
            return
        self._busy_since = self._loop.time()
        if self._unread:
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        """Go on with what was sent ahead, unless something is in its way."""
        if self.transport is None or self._task is not None or self._paused or not self._unread:
            return
        self.transport.resume_reading()
        if len(self._unread) >= self._needed or self._begun is None:
            self._read_unread()

    def hand_over(self, data: bytes) -> None:
        """Make the connection aiohttp's, with all that came of it."""
        transport = self.transport
        if transport is None:
            return
        self._server.fronts.discard(self)
        handler = self._server.make_handler()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)
        self.transport = None

    def make_request(self, head: KnownHead) -> web.Request:
        """Build aiohttp's request of a call that is answered here."""
        make: Any = self._server.request_factory
        writer = StreamWriter(self, self._loop)
        request: web.Request = make(head.message, EMPTY_PAYLOAD, self, writer, self._task)
        return request

    # --- the server's side

    def force_close(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            self.transport.close()

    def look_after(self, now: float, begun_s: float, idle_s: float) -> None:
        """Hand over a call whose rest is slow to come, and close an idle connection.

        aiohttp's way has the deadlines for the former; seconds of the loop's clock.
        """
        if self._task is not None or self._paused:
            return
        waited_s = now - self._busy_since
        if self._unread and waited_s > begun_s:
            data, self._unread, self._begun = bytes(self._unread), b"", None
            self.hand_over(data)
        elif waited_s > idle_s:
            self.force_close()

    async def shutdown(self) -> None:
        """End the connection, and the call on it."""
        self.is_closing = True
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self.force_close()
