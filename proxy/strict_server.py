"""The HTTP server under the data plane: aiohttp's, with our errors and stricter about framing.

Called by role.py. What is no HTTP gets the error shape clients read, and nothing of it is logged:
a broken head still holds a key. Two servers may disagree about odd framing: it is refused here.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, web

from proxy.errors import GatewayError, InvalidRequestError, error_response

logger = logging.getLogger(__name__)

HEAD_DEADLINE_S = 10.0
REASON = re.compile(r"[A-Za-z' -]{1,80}")  # the parser's own words, before it quotes the request
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class StrictProtocol(web.RequestHandler):
    """One connection of a caller."""

    __slots__ = ("_head_timer",)

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._head_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire; a head that has begun must end in time."""
        super().data_received(data)
        waiter = self._waiter
        if self._messages and (waiter is None or len(self._messages) > 1):
            self._break_body()
        if waiter is None or waiter.done():  # no head is waited for, or it is complete
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            self._head_timer = self._loop.call_later(HEAD_DEADLINE_S, self._give_up)

    def _break_body(self) -> None:
        """Tell whoever reads a body that its framing broke: aiohttp would let them wait for it."""
        if not hasattr(self._messages[-1][0], "exc"):
            return  # a further request
        reading = self._current_request
        payload = reading.content if reading is not None else None
        if len(self._messages) > 1:
            payload = self._messages[-2][1]
        if payload is None or payload.is_eof():
            return
        self._messages.pop()  # the reader's error is the answer
        payload.set_exception(web.RequestPayloadError("the body's framing is broken"))
        payload.feed_eof()
        self.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The caller is gone."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        self._head_timer = None
        if self._waiter is not None and not self._waiter.done():
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what was no request, or what our own code failed at; always the last answer."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun: there is no place for another")
        if status < 500:
            error: GatewayError = malformed(message or "")
        else:
            logger.error("unexpected error outside a request", exc_info=exc)
            error = GatewayError(status, "internal_error", "The gateway failed.")
        return _last(error)

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Send an answer; aiohttp's own refusals (no such target, Expect) in our shape."""
        if isinstance(resp, web.HTTPException):
            resp = _last(GatewayError(resp.status, "http_error", f"{resp.reason}."))
        # What comes next may be the rest of a body, or never come; and behind an upgrade that was
        # not taken aiohttp loses what was pipelined.
        if "Upgrade" in request.headers or not request.content.is_eof():
            resp.force_close()
        return super().finish_response(request, resp, start_time)


def malformed(said: str) -> GatewayError:
    """Make the error for what the parser refused, with its reason but not the bytes."""
    found = REASON.match(said.strip())
    reason = f" ({found[0].strip()})" if found else ""
    return InvalidRequestError(
        f"The request is not valid HTTP{reason}.", "The connection is closed; send HTTP/1.1."
    )


def _last(error: GatewayError) -> web.Response:
    response = error_response(error, {})
    response.force_close()
    return response


async def check_expectation(request: web.Request) -> None:
    """Refuse what cannot be met; the body is asked for by whoever reads it (see `invite_body`)."""
    expected = request.headers.get("Expect", "").lower()
    if request.version == HttpVersion11 and expected != "100-continue":
        raise web.HTTPExpectationFailed


async def invite_body(request: web.Request) -> None:
    """Tell a caller who waits for it to send the body: it is known, admitted, and has room."""
    if "Expect" in request.headers and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer is out yet


class StrictServer(web.Server):
    """Makes a StrictProtocol for each connection."""

    def __call__(self) -> StrictProtocol:
        return StrictProtocol(self, loop=self._loop, **self._kwargs)


class StrictRunner(web.AppRunner):
    """Runs an application on a StrictServer."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return StrictServer(
            strictly(made.request_handler), request_factory=made.request_factory, **self._kwargs
        )


def strictly(inner: Answer) -> Answer:
    """Let through what has one meaning only; without a task or a coroutine of its own."""

    def handle(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        if request.version == HttpVersion11 and "Transfer-Encoding" not in request.headers:
            return inner(request)
        error = oddity_of(request)
        return inner(request) if error is None else _refuse(request, error)

    return handle


def oddity_of(request: web.BaseRequest) -> GatewayError | None:
    """Return the error for a version or a coding this server does not speak."""
    if request.version not in {HttpVersion10, HttpVersion11}:
        hint = "Send HTTP/1.1."
        return GatewayError(505, "http_version_unsupported", "Only HTTP/1 is spoken here.", hint)
    coding = request.headers.get("Transfer-Encoding", "chunked")
    if request.version == HttpVersion10 and "Transfer-Encoding" in request.headers:
        return malformed("Transfer-Encoding in HTTP one-zero")
    if coding.strip().lower() != "chunked":
        return malformed("Transfer-Encoding other than chunked")
    return None


async def _refuse(request: web.BaseRequest, error: GatewayError) -> web.StreamResponse:
    """Answer and read no further: nobody can say what the bytes behind such a head are."""
    request.protocol.close()
    request.content.feed_eof()
    return _last(error)
