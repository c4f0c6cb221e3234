"""aiohttp's server, with a front before it that answers the plain calls by itself (front.py).

Used by role.py in place of aiohttp's own runner.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from proxy.front import Answerer, Front
from proxy.known_heads import HeadBook
from proxy.strict_server import StrictRunner, StrictServer

PARSE_BUFFER_BYTES = 65_536
LARGEST_LINE_BYTES = 8190
MOST_HEADERS = 128
SWEEP_S = 1.0


class DirectServer(StrictServer):
    """Answers plain calls to the paths in `answerers`; all others get the application's way."""

    def __init__(self, application: web.Server, answerers: Mapping[str, Answerer]) -> None:
        kept: dict[str, Any] = application._kwargs  # noqa: SLF001 nowhere else are they kept
        super().__init__(
            application.request_handler,
            request_factory=application.request_factory,
            handler_cancellation=application.handler_cancellation,
            **kept,
        )
        self.heads = HeadBook(answerers, self._parse)
        self.fronts: set[Front] = set()
        self._idle_s = float(kept.get("keepalive_timeout", 75.0))
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def __call__(self) -> Any:
        """Make the protocol of a new connection."""
        return Front(self, self._loop)

    def make_handler(self) -> web.RequestHandler:
        """Make the strict protocol, for a connection that is handed over."""
        return super().__call__()

    def pre_shutdown(self) -> None:
        """Let no connection begin another call."""
        super().pre_shutdown()
        for front in self.fronts:
            front.is_closing = True

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 aiohttp's
        """End every connection."""
        self._sweeper.cancel()
        await asyncio.gather(*(front.shutdown() for front in list(self.fronts)))
        await super().shutdown(timeout)

    def _parse(self, head: bytes) -> RawRequestMessage | None:
        """Parse one whole head as strictly as aiohttp does; raises HttpProcessingError."""
        parser = HttpRequestParser(
            BaseProtocol(self._loop),
            self._loop,
            PARSE_BUFFER_BYTES,
            max_line_size=LARGEST_LINE_BYTES,
            max_field_size=LARGEST_LINE_BYTES,
            max_headers=MOST_HEADERS,
        )
        messages, _, _ = parser.feed_data(head)
        return messages[0][0] if messages else None

    def _sweep(self) -> None:
        """One timer for all connections: a timer for each would cost every call."""
        now = self._loop.time()
        for front in list(self.fronts):
            front.look_after(now, SWEEP_S, self._idle_s)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)


class DirectRunner(StrictRunner):
    """Runs an application behind a DirectServer."""

    __slots__ = ("_answerers",)

    def __init__(
        self, app: web.Application, answerers: Mapping[str, Answerer], **options: Any
    ) -> None:
        super().__init__(app, **options)
        self._answerers = answerers

    async def _make_server(self) -> web.Server:
        return DirectServer(await super()._make_server(), self._answerers)
