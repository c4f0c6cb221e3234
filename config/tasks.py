"""The one owner of background tasks: each keeps a name, a reference, and a voice when it fails.

Every role starts its long-running work here and awaits `stop` at its end.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

STOP_TIMEOUT_S = 10.0


class TaskOwner:
    """Holds tasks until they end; logs the failure of each, awaited or not."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_stopped = False

    def start(self, coro: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
        """Run `coro` in the background; after `stop` it is closed unrun and RuntimeError raised."""
        if self._is_stopped:
            coro.close()
            raise RuntimeError(f"task {name} was started after its owner stopped")
        task = asyncio.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Cancel every task and wait until they ended, at most `timeout_s`; no error comes out."""
        self._is_stopped = True
        own = asyncio.current_task()
        tasks = {task for task in self._tasks if task is not own}
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, lasting = await asyncio.wait(tasks, timeout=timeout_s)
        for task in lasting:
            logger.error("task %s did not end within %g s of its stop", task.get_name(), timeout_s)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            logger.error("task %s failed", task.get_name(), exc_info=error)
