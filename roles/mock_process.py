"""`python main.py mock`: the mock provider, as a child of the supervisor or on its own."""

import argparse
import asyncio
import signal
import socket

from config.log import configure_logging
from config.settings import Settings
from config.tasks import TaskOwner
from proxy.providers.mock.app import run_mock
from roles import lifeline, places
from roles.listening import MOCK_HOST, adopt_socket, open_mock_socket
from roles.loop import run_on_fast_loop, stop_event_on
from roles.open_ports import announced


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `mock`; 0 after a stop."""
    is_child = arguments.fd is not None
    lifeline.follow_parent(arguments.lifeline_fd)
    configure_logging(settings.log_format, "mock")
    places.make_directories(settings)
    if is_child:
        lifeline.ignore_terminal_signals()
        run_on_fast_loop(_serve(settings, adopt_socket(arguments.fd)))
        return 0
    opened = open_mock_socket()
    with announced(settings, "mock", opened):
        run_on_fast_loop(_serve(settings, opened))
    return 0


async def _serve(settings: Settings, opened: socket.socket) -> None:
    stop = stop_event_on(signal.SIGTERM, signal.SIGINT)
    tasks = TaskOwner()
    bill_path = places.mock_bill_path(settings)
    serving = tasks.start(run_mock(MOCK_HOST, opened, bill_path, lambda: None), "mock")
    stopped = tasks.start(stop.wait(), "stop")
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await tasks.stop()
    if not serving.cancelled():
        serving.result()  # its error: a bill that cannot be written, most likely
