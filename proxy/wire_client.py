"""The fast upstream client: HTTP/1.1 over asyncio protocols, with a pool per origin.

Called by upstream.py through the UpstreamClient interface. aiohttp's client costs more than the
whole rest of a relayed call; this one does only what a relay needs: POST, keep-alive, all three
body framings, TLS, back-pressure. proxy.upstream_client.AiohttpClient is its oracle in tests.
"""

import asyncio
import select
import socket
import ssl
from collections import deque
from typing import NamedTuple, cast

from proxy.connector import KEEPALIVE_S, ForbiddenAddressError, GuardedResolver
from proxy.upstream_client import UnreachableFault, UpstreamCall
from proxy.wire_exchange import WireReply
from proxy.wire_request import head_bytes

MOST_IDLE_PER_ORIGIN = 1024
MOST_ADDRESSES = 4


class Origin(NamedTuple):
    """Where a connection leads; one that may reach private addresses is never shared."""

    host: str
    port: int
    is_tls: bool
    allows_private: bool


class WireConnection(asyncio.Protocol):
    """One connection; carries one exchange at a time. It is the Lane of that exchange's reply."""

    def __init__(self, client: "WireClient", origin: Origin) -> None:
        self._client = client
        self._origin = origin
        self._transport: asyncio.Transport | None = None
        self._reply: WireReply | None = None
        self._poll = select.poll()
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether the kernel, too, has nothing to read: an end, or bytes nobody asked for.

        What came after the loop last looked would else be taken for the next answer.
        """
        return self.is_usable and not self._poll.poll(0)

    def start(self, request: bytes) -> WireReply:
        """Send a request; the answer arrives through the reply."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise UnreachableFault("connection closed", may_have_run=False)
        reply = self._reply = WireReply(self)
        transport.write(request)
        return reply

    def abort(self) -> None:
        """Cut the connection, which stops the call at the upstream."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading, so that the upstream is held back."""
        if self._transport is not None and self.is_usable:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and self.is_usable:
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, only alike.
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            self.abort()  # an idle connection has nothing to say
            return
        reply.feed(data)
        if not reply.is_over:
            return
        self._reply = None
        if reply.is_reusable and self._is_all_sent():
            self._client.give_back(self._origin, self)
        else:
            self.abort()

    def _is_all_sent(self) -> bool:
        """An answer may come before the end of its request, which would then follow it."""
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.lose_connection(exc)


class WireClient:
    """UpstreamClient over WireConnections."""

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[WireConnection]] = {}  # the one used last on the right
        self._sweeper: asyncio.TimerHandle | None = None
        self._resolver = GuardedResolver()
        self._tls: ssl.SSLContext | None = None
        self._is_closed = False

    @property
    def idle_connections(self) -> int:
        """How many connections wait for a call."""
        return sum(map(len, self._idle.values()))

    async def send(self, call: UpstreamCall) -> WireReply:
        """Send and wait for the head of the answer, without end; raises UpstreamFault."""
        url = call.url
        if call.method != "POST" or not isinstance(call.body, bytes):
            raise ValueError("the wire client only posts whole bodies")
        head = call.head or head_bytes(url, call.headers)
        request = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(call.body), call.body)
        is_tls = url.scheme == "https"
        origin = Origin(url.raw_host or "", url.port or 443, is_tls, call.allows_private)
        connection = self._take_idle(origin) or await self._connect(origin, call.connect_s)
        reply = connection.start(request)
        try:
            await reply.wait_head()
        except BaseException:
            # Not the connection: a whole answer has given it back, and it may serve another call.
            reply.close()
            raise
        return reply

    def give_back(self, origin: Origin, connection: WireConnection) -> None:
        """Keep a connection for the next call."""
        idle = self._idle.setdefault(origin, deque())
        if self._is_closed or len(idle) >= MOST_IDLE_PER_ORIGIN:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(KEEPALIVE_S, self._sweep)

    async def close(self) -> None:
        """Close every idle connection; those in use end with their calls."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()
        await self._resolver.close()

    def _take_idle(self, origin: Origin) -> WireConnection | None:
        idle = self._idle.get(origin)
        if not idle:
            return None
        oldest = asyncio.get_running_loop().time() - KEEPALIVE_S
        while idle:
            connection = idle.pop()  # the one used last is the likeliest to be alive
            if connection.idle_since > oldest and connection.is_quiet:
                return connection
            connection.abort()
        return None

    def _sweep(self) -> None:
        """Close what nobody took for long: calls take from the other end."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEEPALIVE_S
        for origin, idle in list(self._idle.items()):
            while idle and (idle[0].idle_since <= oldest or not idle[0].is_usable):
                idle.popleft().abort()
            if not idle:
                del self._idle[origin]
        self._sweeper = loop.call_later(KEEPALIVE_S, self._sweep) if self._idle else None

    async def _connect(self, origin: Origin, connect_s: float) -> WireConnection:
        try:
            async with asyncio.timeout(connect_s):
                return await self._open(origin, connect_s)
        except TimeoutError as error:
            raise UnreachableFault("connect timeout", may_have_run=False) from error
        except (OSError, ValueError) as error:  # ValueError: a name no resolver or TLS takes
            raise UnreachableFault(_cause_of(error), may_have_run=False) from error

    async def _open(self, origin: Origin, connect_s: float) -> WireConnection:
        """Try the addresses in turn; a silent one may not use up the time of the others."""
        hosts = [origin.host]
        if not origin.allows_private:
            found = await self._resolver.resolve(origin.host, origin.port, socket.AF_UNSPEC)
            hosts = [entry["host"] for entry in found][:MOST_ADDRESSES]
        last: OSError | None = None
        for host in hosts:
            try:
                async with asyncio.timeout(connect_s / len(hosts)):
                    return await self._open_at(origin, host)
            except OSError as error:
                last = error
        raise last or OSError("no address")

    async def _open_at(self, origin: Origin, host: str) -> WireConnection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: WireConnection(self, origin),
            host,
            origin.port,
            ssl=self._tls_context() if origin.is_tls else None,
            server_hostname=origin.host.rstrip(".") if origin.is_tls else None,
        )
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _cause_of(error: Exception) -> str:
    """Name the error without addresses or bodies: this text reaches callers."""
    if isinstance(error, ForbiddenAddressError):
        return "its address is not a public one (see allow_private)"
    return type(error).__name__.removesuffix("Error")
