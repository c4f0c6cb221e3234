"""Runs a role's coroutine on the fastest event loop there is; called by the role entries."""

import asyncio
import importlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_on_fast_loop(body: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run`, on uvloop where it is installed (it is optional: Windows has none)."""
    with asyncio.Runner(loop_factory=_fast_loop_factory()) as runner:
        return runner.run(body)


def _fast_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
            "uvloop"
        ).new_event_loop
    except ModuleNotFoundError:
        return None
    return factory


def stop_event_on(*signals: signal.Signals) -> asyncio.Event:
    """An event of the running loop that is set by the first of these signals."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    return stop
