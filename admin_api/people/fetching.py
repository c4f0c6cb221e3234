"""Asks an identity provider: bounded in time and size, without redirects, https but on loopback.

Used by oidc.py alone. Documents are cached by `Remembered`, which also outlives an outage.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import orjson

from config.clock import Clock
from config.operator import is_safe_url

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
MOST_BYTES = 262_144
FRESH_S = 3600.0
STALE_S = 86_400.0
RETRY_S = 60.0  # nobody makes us ask more often than this


class IssuerError(Exception):
    """The identity provider did not say what is needed; the reason is for the log."""


async def fetch_json(
    url: str, form: Mapping[str, str] | None = None, authorization: str = ""
) -> dict[str, Any]:
    """The JSON object at a URL; with a form, what a POST of it is answered. IssuerError."""
    if not is_safe_url(url):
        raise IssuerError("a URL is not https")
    method = "GET" if form is None else "POST"
    options: Any = {} if form is None else {"data": dict(form)}
    headers = {"Accept": "application/json"}
    headers |= {"Authorization": authorization} if authorization else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False) as session,
            session.request(
                method, url, headers=headers, allow_redirects=False, **options
            ) as reply,
        ):
            return await _read_object(reply)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise IssuerError(f"{type(error).__name__} while asking it") from None


async def _read_object(reply: aiohttp.ClientResponse) -> dict[str, Any]:
    if reply.status != 200:
        raise IssuerError(f"it answered {reply.status}")
    body = b""
    async for part in reply.content.iter_any():
        body += part
        if len(body) > MOST_BYTES:
            raise IssuerError("its answer is too large")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise IssuerError("its answer is no JSON") from None
    if not isinstance(document, dict):
        raise IssuerError("its answer is no JSON object")
    return document


class Remembered:
    """What `read` gives: asked for again after an hour, kept for a day while that fails."""

    def __init__(self, read: Callable[[], Awaitable[Any]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._value: Any = None
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def get(self, *, is_stale: bool = False) -> Any:
        """The value; `is_stale` when it lacks something, which counts once a minute. IssuerError.

        An outage is not asked into more often than that, either.
        """
        async with self._lock:
            age_s = self._since(self._read_at)
            is_due = is_stale or age_s >= FRESH_S
            if is_due and self._since(self._tried_at) >= RETRY_S:
                await self._refresh(age_s)
            elif self._value is None or age_s >= STALE_S:
                raise IssuerError("it was away a moment ago")
            return self._value

    async def _refresh(self, age_s: float) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            self._value = await self._read()
        except IssuerError:
            if self._value is None or age_s >= STALE_S:
                raise
        else:
            self._read_at = self._clock.monotonic()

    def _since(self, moment: float | None) -> float:
        return float("inf") if moment is None else self._clock.monotonic() - moment
