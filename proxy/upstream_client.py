"""The small interface through which the gateway calls an upstream, and its aiohttp form.

Called by upstream.py. Everything that can go wrong leaves as one of three faults, so that a faster
client can take this one's place without touching the retry rules.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple, Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from proxy.connector import ForbiddenAddressError, RedirectRefusedError, open_session

LOOP_STEP_S = 0.002
MOST_MESSAGE_BYTES = 16_777_216  # of one message on a web socket


class UpstreamFault(Exception):  # noqa: N818 a fault of theirs, not an error of ours
    """A call that brought no usable answer; `may_have_run` says whether it could be billed."""

    def __init__(self, message: str, *, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class UnreachableFault(UpstreamFault):
    """No connection, or the connection broke before any answer."""


class TimeoutFault(UpstreamFault):
    """A deadline passed."""


class RefusedFault(UpstreamFault):
    """A web socket was refused with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"web socket refused with {status}", may_have_run=False)
        self.status = status


class BrokenFault(UpstreamFault):
    """The answer broke off or was not HTTP."""


class UpstreamCall(NamedTuple):
    """One call; `connect_s` bounds its first phase, and `deadline`, in the loop's time, the whole.

    Methods other than POST, and bodies that arrive piece by piece, are the aiohttp client's.
    """

    url: URL
    headers: CIMultiDict[str]
    body: bytes | AsyncIterator[bytes]
    connect_s: float
    allows_private: bool
    method: str = "POST"
    head: bytes = b""  # request line and headers but the length, where they were ready
    deadline: float = math.inf


class UpstreamReply(Protocol):
    """An answer whose head has arrived.

    `deadline`, in the loop's time, is the call's own; who reads a body piece by piece may move it.
    """

    deadline: float

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers, names in any case."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected: the answer is whole, broken or closed."""

    def take_whole(self, limit_bytes: int) -> bytes | None:
        """Return the whole body where nothing has to be waited for, else None: then `read` it."""

    async def read(self, limit_bytes: int) -> bytes:
        """Read the whole body; BrokenFault when cut or larger than the limit, or TimeoutFault."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives; BrokenFault when cut, or TimeoutFault."""

    def close(self) -> None:
        """Give the connection back when the body was read, else cut it, which stops the call."""


class UpstreamClient(Protocol):
    """Sends calls."""

    async def send(self, call: UpstreamCall) -> UpstreamReply:
        """Send and wait for the head of the answer; raises UpstreamFault."""

    async def close(self) -> None:
        """Close every connection."""


class AiohttpReply:
    """UpstreamReply over aiohttp's client."""

    def __init__(self, response: aiohttp.ClientResponse, deadline: float = math.inf) -> None:
        self._response = response
        self.deadline = deadline
        self.status = response.status
        self.headers = response.headers

    @property
    def is_over(self) -> bool:
        return self._response.content.at_eof()

    def take_whole(self, limit_bytes: int) -> bytes | None:  # noqa: ARG002 it is always awaited
        return None

    async def read(self, limit_bytes: int) -> bytes:
        length = self._response.content_length
        is_packed = "Content-Encoding" in self.headers  # then the length says nothing of the size
        if length is not None and length <= limit_bytes and not is_packed:
            return await self._read_at_once()
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > limit_bytes:
                raise BrokenFault(f"answer larger than {limit_bytes} bytes", may_have_run=True)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _read_at_once(self) -> bytes:
        try:
            async with _until(self.deadline):
                return await self._response.content.read()
        except (aiohttp.ClientError, OSError) as error:
            raise _cut(error, self.deadline) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with _until(self.deadline):
                    part = await self._response.content.readany()
            except (aiohttp.ClientError, OSError) as error:
                raise _cut(error, self.deadline) from error
            if not part:
                return
            yield part

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpClient:
    """UpstreamClient over two sessions: one that reaches only public addresses, one for all."""

    def __init__(self) -> None:
        self._public = open_session(allows_private=False)
        self._private = open_session(allows_private=True)
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def send(self, call: UpstreamCall) -> AiohttpReply:
        try:
            async with _until(call.deadline):
                response = await self._request(call)
        except TimeoutError as error:
            raise _overdue() from error
        return AiohttpReply(response, call.deadline)

    async def _request(self, call: UpstreamCall) -> aiohttp.ClientResponse:
        session = self._private if call.allows_private else self._public
        try:
            return await session.request(
                call.method,
                call.url,
                data=call.body or None,
                headers=call.headers,
                allow_redirects=False,
                timeout=self._timeout(call.connect_s),
            )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise UnreachableFault(_brief(error), may_have_run=False) from error
        except aiohttp.ServerDisconnectedError as error:
            raise UnreachableFault("connection closed", may_have_run=True) from error
        except (aiohttp.ClientOSError, OSError) as error:
            raise UnreachableFault(_brief(error), may_have_run=True) from error
        except aiohttp.ClientError as error:
            raise BrokenFault(_brief(error), may_have_run=True) from error

    async def open_websocket(
        self, call: UpstreamCall, protocols: tuple[str, ...]
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a web socket at the call's address; raises UpstreamFault."""
        session = self._private if call.allows_private else self._public
        try:
            async with asyncio.timeout(call.connect_s):
                return await session.ws_connect(
                    call.url,
                    headers=call.headers,
                    protocols=protocols,
                    max_msg_size=MOST_MESSAGE_BYTES,
                    autoping=True,
                )
        except (aiohttp.WSServerHandshakeError, RedirectRefusedError) as error:
            raise RefusedFault(error.status) from error
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is one
            raise UnreachableFault(_brief(error), may_have_run=False) from error

    def _timeout(self, connect_s: float) -> aiohttp.ClientTimeout:
        """The same object for the same seconds: making one costs as much as a hash."""
        timeout = self._timeouts.get(connect_s)
        if timeout is None:
            # `connect` takes in the look-up of the name, which `sock_connect` leaves out.
            timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)
            self._timeouts = {connect_s: timeout}
        return timeout

    async def close(self) -> None:
        await self._public.close()
        await self._private.close()


def _until(deadline: float) -> asyncio.Timeout:
    return asyncio.timeout_at(None if deadline == math.inf else deadline)


def _overdue() -> TimeoutFault:
    return TimeoutFault("no answer in time", may_have_run=True)


def _is_past(deadline: float) -> bool:
    """A loop that counts in milliseconds wakes up to one of them early."""
    return asyncio.get_running_loop().time() >= deadline - LOOP_STEP_S


def _cut(error: Exception, deadline: float) -> UpstreamFault:
    if isinstance(error, TimeoutError) and _is_past(deadline):
        return _overdue()
    return BrokenFault(f"answer cut: {type(error).__name__}", may_have_run=True)


def _brief(error: BaseException) -> str:
    """Name the error without addresses or bodies: this text reaches callers."""
    if isinstance(error.__cause__, ForbiddenAddressError):
        return "its address is not a public one (see allow_private)"
    return type(error).__name__.removesuffix("Error")
