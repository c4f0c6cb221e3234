"""The fast upstream client: HTTP/1.1 over asyncio protocols, with a pool per origin.

Called by upstream.py through the UpstreamClient interface. aiohttp's client costs more than the
whole rest of a relayed call; this one does only what a relay needs: POST, keep-alive, all three
body framings, TLS, back-pressure. proxy.upstream_client.AiohttpClient is its oracle in tests.
"""

import asyncio
import socket
import ssl
from typing import NamedTuple, cast

import httptools
from multidict import CIMultiDict
from yarl import URL

from proxy.connector import KEEPALIVE_S, ForbiddenAddressError, GuardedResolver
from proxy.upstream_client import BrokenFault, UnreachableFault, UpstreamCall
from proxy.wire_exchange import WireReply

MOST_IDLE_PER_ORIGIN = 1024


class Origin(NamedTuple):
    """Where a connection leads; one that may reach private addresses is never shared."""

    host: str
    port: int
    is_tls: bool
    allows_private: bool


class WireConnection(asyncio.Protocol):
    """One connection; carries one exchange at a time."""

    def __init__(self, client: "WireClient", origin: Origin) -> None:
        self._client = client
        self._origin = origin
        self._transport: asyncio.Transport | None = None
        self._reply: WireReply | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._is_interim = False
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def start(self, request: bytes) -> WireReply:
        """Send a request; the answer arrives through the reply."""
        transport = self._transport
        if transport is None:
            raise RuntimeError("not connected")
        self._reply = WireReply(self.abort, self._pause, self._resume)
        self._parser = httptools.HttpResponseParser(self)
        transport.write(request)
        return self._reply

    def abort(self) -> None:
        """Cut the connection, which stops the call at the upstream."""
        if self._transport is not None:
            self._transport.abort()

    def _pause(self) -> None:
        if self._transport is not None and self.is_usable:
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and self.is_usable:
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, only alike.
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._parser is None:
            self.abort()  # an idle connection has nothing to say
            return
        reply = self._reply
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, ValueError) as error:
            reply.fail(BrokenFault(_cause_of(error), may_have_run=True))
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._reply is not None:
            self._reply.lose_connection(exc)
            self._reply = None

    # --- the parser's callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reply is not None:
            self._reply.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._reply is not None and self._parser is not None:
            self._is_interim = not self._reply.take_head(self._parser.get_status_code())

    def on_body(self, data: bytes) -> None:
        if self._reply is not None:
            self._reply.on_body(data)

    def on_message_complete(self) -> None:
        reply, parser = self._reply, self._parser
        if self._is_interim or reply is None or parser is None:
            return
        self._reply = self._parser = None
        is_reusable = parser.should_keep_alive() and reply.has_length
        if reply.is_paused:
            reply.is_paused = False
            self._resume()
        if is_reusable:
            self._client.give_back(self._origin, self)
        else:
            self.abort()
        reply.complete()


class WireClient:
    """UpstreamClient over WireConnections."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[WireConnection]] = {}
        self._resolver = GuardedResolver()
        self._tls: ssl.SSLContext | None = None
        self._is_closed = False

    async def send(self, call: UpstreamCall) -> WireReply:
        """Send and wait for the head of the answer, without end; raises UpstreamFault."""
        url = call.url
        origin = Origin(url.host or "", url.port or 443, url.scheme == "https", call.allows_private)
        connection = self._take_idle(origin) or await self._connect(origin, call.connect_s)
        reply = connection.start(request_bytes(url, call.headers, call.body))
        try:
            await reply.wait_head()
        except BaseException:
            connection.abort()
            raise
        return reply

    def give_back(self, origin: Origin, connection: WireConnection) -> None:
        """Keep a connection for the next call."""
        idle = self._idle.setdefault(origin, [])
        if self._is_closed or len(idle) >= MOST_IDLE_PER_ORIGIN:
            connection.abort()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        idle.append(connection)

    async def close(self) -> None:
        """Close every idle connection; those in use end with their calls."""
        self._is_closed = True
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
            if connection.is_usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin, connect_s: float) -> WireConnection:
        try:
            async with asyncio.timeout(connect_s):
                return await self._open(origin)
        except TimeoutError as error:
            raise UnreachableFault("connect timeout", may_have_run=False) from error
        except (OSError, ssl.SSLError) as error:
            raise UnreachableFault(_cause_of(error), may_have_run=False) from error

    async def _open(self, origin: Origin) -> WireConnection:
        hosts = [origin.host]
        if not origin.allows_private:
            found = await self._resolver.resolve(origin.host, origin.port, socket.AF_UNSPEC)
            hosts = [entry["host"] for entry in found]
        loop = asyncio.get_running_loop()
        last: OSError | None = None
        for host in hosts:
            try:
                _, connection = await loop.create_connection(
                    lambda: WireConnection(self, origin),
                    host,
                    origin.port,
                    ssl=self._tls_context() if origin.is_tls else None,
                    server_hostname=origin.host if origin.is_tls else None,
                )
            except OSError as error:
                last = error
            else:
                return connection
        raise last or ForbiddenAddressError(f"{origin.host} has no address")

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def request_bytes(url: URL, headers: CIMultiDict[str], body: bytes) -> bytes:
    """Write a POST; ValueError when a header value would add a line."""
    lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {_host_header(url)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
        raise ValueError("a header holds a line break")
    return head.encode("utf-8", "surrogateescape") + body


def _host_header(url: URL) -> str:
    host = f"[{url.raw_host}]" if ":" in (url.raw_host or "") else url.raw_host
    return f"{host}" if url.is_default_port() else f"{host}:{url.port}"


def _cause_of(error: Exception) -> str:
    """Name the error without addresses or bodies: this text reaches callers."""
    return type(error).__name__.removesuffix("Error")
