"""The small interface through which the gateway calls an upstream, and its aiohttp form.

Called by upstream.py. Everything that can go wrong leaves as one of three faults, so that a faster
client can take this one's place without touching the retry rules.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from proxy.connector import open_session


class UpstreamFault(Exception):  # noqa: N818 a fault of theirs, not an error of ours
    """A call that brought no usable answer; `may_have_run` says whether it could be billed."""

    def __init__(self, message: str, *, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class UnreachableFault(UpstreamFault):
    """No connection, or the connection broke before any answer."""


class TimeoutFault(UpstreamFault):
    """A deadline passed."""


class BrokenFault(UpstreamFault):
    """The answer broke off or was not HTTP."""


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One POST; deadlines in seconds from now."""

    url: URL
    headers: CIMultiDict[str]
    body: bytes
    connect_s: float
    first_byte_s: float
    allows_private: bool


class UpstreamReply(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers, names in any case."""

    async def read(self, limit_bytes: int) -> bytes:
        """Read the whole body; BrokenFault when cut or larger than the limit."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives; BrokenFault when cut."""

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

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers

    async def read(self, limit_bytes: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > limit_bytes:
                raise BrokenFault(f"answer larger than {limit_bytes} bytes", may_have_run=True)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.content.iter_any():
                yield part
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenFault(f"answer cut: {type(error).__name__}", may_have_run=True) from error

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

    async def send(self, call: UpstreamCall) -> AiohttpReply:
        session = self._private if call.allows_private else self._public
        try:
            async with asyncio.timeout(call.first_byte_s):
                response = await session.post(
                    call.url,
                    data=call.body,
                    headers=call.headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=call.connect_s),
                )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise UnreachableFault(_brief(error), may_have_run=False) from error
        except TimeoutError as error:
            message = f"no answer within {call.first_byte_s:.1f} s"
            raise TimeoutFault(message, may_have_run=True) from error
        except aiohttp.ServerDisconnectedError as error:
            raise UnreachableFault("connection closed", may_have_run=True) from error
        except (aiohttp.ClientOSError, OSError) as error:
            raise UnreachableFault(_brief(error), may_have_run=True) from error
        except aiohttp.ClientError as error:
            raise BrokenFault(_brief(error), may_have_run=True) from error
        return AiohttpReply(response)

    async def close(self) -> None:
        await self._public.close()
        await self._private.close()


def _brief(error: BaseException) -> str:
    """Name the error without addresses or bodies: this text reaches callers."""
    return type(error).__name__.removesuffix("Error")
