"""Keeps a stream's caller from waiting in silence until the first event arrives.

Used by stream_reply.py. Headers are held back so that failover stays invisible; when that takes
longer than `patience_s` they go out, followed by comments, which every SSE client ignores. From
then on failures can only be told in the stream.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from config.tasks import TaskOwner

COMMENT = b": keep-alive\n\n"


class KeepAlive:
    """A timer around the wait for the first event."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        patience_s: float,
        tasks: TaskOwner,
        *,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """`before` is called before the headers go out."""
        self._before = before
        self._request = request
        self._response = response
        self._patience_s = patience_s
        self._tasks = tasks
        self._beat_task: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(patience_s, self._start_beating)

    async def stop(self) -> None:
        """Stop commenting; afterwards the response belongs to the caller again."""
        self._timer.cancel()
        if self._beat_task is not None:
            self._beat_task.cancel()
            await asyncio.wait({self._beat_task})

    def _start_beating(self) -> None:
        self._beat_task = self._tasks.start(self._beat(), "keep-alive")

    async def _beat(self) -> None:
        try:
            self._before()
            await self._response.prepare(self._request)
            while True:
                await self._response.write(COMMENT)
                await asyncio.sleep(self._patience_s)
        except OSError:
            return  # the caller left: its own task is cancelled and records it
