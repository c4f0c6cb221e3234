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

from yarl import URL

from proxy.connector import KEEPALIVE_S, ForbiddenAddressError, GuardedResolver
from proxy.upstream_client import TimeoutFault, UnreachableFault, UpstreamCall
from proxy.wire_exchange import WireReply
from proxy.wire_request import head_bytes

MOST_IDLE_PER_ORIGIN = 1024
MOST_ADDRESSES = 4
MOST_KNOWN_URLS = 1024
SMALL_BODY_BYTES = 65_536  # up to which one write with a copy costs less than two
TICK_S = 0.025  # how late a deadline may be seen


class Origin(NamedTuple):
    """Where a connection leads; one that may reach private addresses is never shared."""

    host: str
    port: int
    is_tls: bool
    allows_private: bool


class Pool:
    """The connections to one origin that wait for a call, the one used last on the right."""

    __slots__ = ("idle", "origin")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle: deque[WireConnection] = deque()


class WireConnection(asyncio.Protocol):
    """One connection; carries one exchange at a time. It is the Lane of that exchange's reply."""

    def __init__(self, client: "WireClient", pool: Pool) -> None:
        self._client = client
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self.reply: WireReply | None = None
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether the kernel, too, has nothing to read: an end, or bytes nobody asked for.

        What came after the loop last looked would else be taken for the next answer.
        """
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._poll.poll(0)

    def start(self, head: bytes, body: bytes, deadline: float) -> WireReply:
        """Send a request; the answer arrives through the reply."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise UnreachableFault("connection closed", may_have_run=False)
        reply = self.reply = WireReply(self, deadline)
        if len(body) <= SMALL_BODY_BYTES:
            transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
        else:
            transport.write(b"%bContent-Length: %d\r\n\r\n" % (head, len(body)))
            transport.write(body)
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
        self._client.watch(self)

    def data_received(self, data: bytes) -> None:
        reply = self.reply
        if reply is None:
            self.abort()  # an idle connection has nothing to say
            return
        reply.feed(data)
        if not reply.is_over:
            return
        self.reply = None
        if reply.is_reusable and self._is_all_sent():
            self._client.give_back(self._pool, self)
        else:
            self.abort()

    def _is_all_sent(self) -> bool:
        """An answer may come before the end of its request, which would then follow it."""
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._client.forget(self)
        reply, self.reply = self.reply, None
        if reply is not None:
            reply.lose_connection(exc)


class WireClient:
    """UpstreamClient over WireConnections.

    One timer looks after the deadlines of all exchanges, every TICK_S while there are any.
    """

    def __init__(self) -> None:
        self._pools: dict[Origin, Pool] = {}
        self._known: tuple[dict[URL, Pool], dict[URL, Pool]] = ({}, {})  # by allows_private
        self._open_ones: set[WireConnection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._resolver = GuardedResolver()
        self._tls: ssl.SSLContext | None = None
        self._is_closed = False

    @property
    def idle_connections(self) -> int:
        """How many connections wait for a call."""
        return sum(len(pool.idle) for pool in self._pools.values())

    async def send(self, call: UpstreamCall) -> WireReply:
        """Send and wait for the head of the answer; raises UpstreamFault."""
        url, headers, body, connect_s, allows_private, method, head, deadline = call
        if method != "POST" or not isinstance(body, bytes):
            raise ValueError("the wire client only posts whole bodies")
        if not head:
            head = head_bytes(url, headers)
        pool = self._known[allows_private].get(url) or self._pool_of(url, allows_private)
        connection = self._take_idle(pool) if pool.idle else None
        if connection is None:
            connection = await self._connect(pool, connect_s, deadline)
        reply = connection.start(head, body, deadline)
        if self._ticker is None:
            self._tick()
        try:
            while not reply.has_head:
                await reply.change()
        except BaseException:
            # Not the connection: a whole answer has given it back, and it may serve another call.
            reply.close()
            raise
        return reply

    def _pool_of(self, url: URL, allows_private: bool) -> Pool:
        """Find the pool of a new address; there are as many pools as the operator has upstreams."""
        is_tls = url.scheme == "https"
        origin = Origin(url.raw_host or "", url.port or 443, is_tls, allows_private)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(origin)
        known = self._known[allows_private]
        if len(known) >= MOST_KNOWN_URLS:
            known.clear()
        known[url] = pool
        return pool

    def watch(self, connection: WireConnection) -> None:
        """Look after the deadlines of a new connection's exchanges."""
        self._open_ones.add(connection)

    def forget(self, connection: WireConnection) -> None:
        """The connection is gone."""
        self._open_ones.discard(connection)

    def _tick(self) -> None:
        """End the exchanges whose time is up; look again while others are under way."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        replies = [each.reply for each in self._open_ones if each.reply is not None]
        for reply in replies:
            if reply.deadline <= now:
                reply.expire()
        self._ticker = loop.call_later(TICK_S, self._tick) if replies else None

    def give_back(self, pool: Pool, connection: WireConnection) -> None:
        """Keep a connection for the next call."""
        idle = pool.idle
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
        for pool in self._pools.values():
            for connection in pool.idle:
                connection.abort()
            pool.idle.clear()
        await self._resolver.close()

    def _take_idle(self, pool: Pool) -> WireConnection | None:
        idle = pool.idle
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
        for pool in self._pools.values():
            idle = pool.idle
            while idle and (idle[0].idle_since <= oldest or not idle[0].is_usable):
                idle.popleft().abort()
        has_idle = any(pool.idle for pool in self._pools.values())
        self._sweeper = loop.call_later(KEEPALIVE_S, self._sweep) if has_idle else None

    async def _connect(self, pool: Pool, connect_s: float, deadline: float) -> WireConnection:
        loop = asyncio.get_running_loop()
        remaining_s = max(0.0, deadline - loop.time())
        is_hurried = remaining_s <= connect_s
        connect_s = min(connect_s, remaining_s)
        try:
            async with asyncio.timeout(connect_s):
                return await self._open(pool, connect_s)
        except TimeoutError as error:
            if is_hurried:
                raise TimeoutFault("no connection in time", may_have_run=False) from error
            raise UnreachableFault("connect timeout", may_have_run=False) from error
        except (OSError, ValueError) as error:  # ValueError: a name no resolver or TLS takes
            raise UnreachableFault(_cause_of(error), may_have_run=False) from error

    async def _open(self, pool: Pool, connect_s: float) -> WireConnection:
        """Try the addresses in turn; a silent one may not use up the time of the others."""
        origin = pool.origin
        hosts = [origin.host]
        if not origin.allows_private:
            found = await self._resolver.resolve(origin.host, origin.port, socket.AF_UNSPEC)
            hosts = [entry["host"] for entry in found][:MOST_ADDRESSES]
        last: OSError | None = None
        for host in hosts:
            try:
                async with asyncio.timeout(connect_s / len(hosts)):
                    return await self._open_at(pool, host)
            except OSError as error:
                last = error
        raise last or OSError("no address")

    async def _open_at(self, pool: Pool, host: str) -> WireConnection:
        origin = pool.origin
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: WireConnection(self, pool),
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
