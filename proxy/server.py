"""aiohttp's server with a shorter way for the calls that matter: one task for a whole connection.

Used by role.py in place of aiohttp's own runner. aiohttp makes a task for every request and asks a
router; here the connection's own task answers, and the dialects' paths are one look into a table.
Parsing, keep-alive, limits and every other path stay aiohttp's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import ERROR, RequestHandler

from proxy.ready_response import ReadyResponse

DirectHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class DirectServer(web.Server):
    """Answers POST requests to the paths in `direct`, as they are written there, by themselves."""

    def __init__(self, application: web.Server, direct: Mapping[str, DirectHandler]) -> None:
        super().__init__(
            application.request_handler,
            request_factory=application.request_factory,
            handler_cancellation=application.handler_cancellation,
            **application._kwargs,  # noqa: SLF001 nowhere else are they kept
        )
        self.direct = direct

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return DirectConnection(self, loop=self._loop, **self._kwargs)


class DirectRunner(web.AppRunner):
    """aiohttp's runner of an application, around a DirectServer."""

    __slots__ = ("_direct",)

    def __init__(
        self, app: web.Application, direct: Mapping[str, DirectHandler], **options: Any
    ) -> None:
        super().__init__(app, **options)
        self._direct = direct

    async def _make_server(self) -> web.Server:
        return DirectServer(await super()._make_server(), self._direct)


class DirectConnection(RequestHandler):
    """One caller's connection, answered in the task that aiohttp starts for it."""

    __slots__ = ()

    async def start(self) -> None:  # noqa: C901 a loop and its ways to end
        """Answer request after request until the connection is to end. Called once, by aiohttp."""
        server = self._manager
        if not isinstance(server, DirectServer):
            raise TypeError("a direct connection belongs to a direct server")
        try:
            while not self._force_close:
                message, payload = await self._next_message()
                server.requests_count += 1
                reply = await self._answer(server, message, payload)
                self._keepalive = reply is not None and bool(reply.keep_alive)
                if not payload.is_eof():
                    await self._read_off(payload)
                if not self._keepalive or self._close:
                    break
                self._arm_keep_alive()
        except ConnectionError:  # the caller left before the answer was out
            self.force_close()
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception as error:  # noqa: BLE001 logged, and the connection ends
            self.log_exception("unexpected error on a connection", exc_info=error)
            self.force_close()
        self._task_handler = None
        if self.transport is not None:
            self.transport.close()

    async def _next_message(self) -> tuple[Any, StreamReader]:
        if not self._messages:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, payload = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()  # who pipelines is held back by what is not consumed
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return message, payload

    def _answer(
        self, server: DirectServer, message: Any, payload: StreamReader
    ) -> Awaitable[web.StreamResponse | None]:
        """Answer one request, when awaited; None when the caller is gone."""
        writer = StreamWriter(self, self._loop)
        task: Any = self._task_handler or asyncio.current_task(self._loop)
        make: Any = server.request_factory
        handler: Any = server.request_handler
        if not isinstance(message, RawRequestMessage):  # the parser's complaint about a request
            handler = self._make_error_handler(message)
            message = ERROR
        elif message.method == "POST":
            direct = server.direct.get(message.path)
            if direct is not None:
                return self._answer_directly(make(message, payload, self, writer, task), direct)
        return self._answer_by_router(make(message, payload, self, writer, task), handler)

    async def _answer_by_router(
        self, request: web.Request, handler: Any
    ) -> web.StreamResponse | None:
        reply, is_gone = await self._handle_request(request, None, handler)
        return None if is_gone else reply

    async def _answer_directly(
        self, request: web.Request, handler: DirectHandler
    ) -> web.StreamResponse | None:
        self._request_in_progress = True
        self._current_request = request  # a caller that leaves breaks what still reads its body
        try:
            reply = await handler(request)
        finally:
            self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        if type(reply) is ReadyResponse:
            reply.write_to(request)
            return reply
        reply, is_gone = await self.finish_response(request, reply, None)
        return None if is_gone else reply

    async def _read_off(self, payload: StreamReader) -> None:
        """Take in what nobody read, for a while: closing at once would lose the answer.

        A caller that still sends would get a reset in place of what was written to it.
        """
        try:
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()
        except TimeoutError:
            pass
        if not payload.is_eof():
            self.close()

    def _arm_keep_alive(self) -> None:
        """One timer for the connection's life: it looks at the time below when it fires."""
        closes_at = self._loop.time() + self._keepalive_timeout
        self._next_keepalive_close_time = closes_at
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(closes_at, self._process_keepalive)
