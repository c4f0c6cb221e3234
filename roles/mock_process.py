"""`python main.py mock`: the mock provider, as a child of the supervisor or on its own."""

import argparse
import asyncio
import signal
import socket

import orjson

from config.clock import Clock
from config.errors import ConfigError
from config.home import find_lock_owner
from config.log import configure_logging
from config.ports import claim_port
from config.settings import Settings
from config.tasks import TaskOwner
from proxy.providers.mock.app import run_mock
from roles import lifeline, places
from roles.listening import (
    BACKLOG,
    MOCK_HOST,
    MOCK_PORT,
    adopt_socket,
    describe_address,
    open_mock_socket,
)
from roles.loop import run_on_fast_loop, stop_event_on
from roles.open_ports import announced


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `mock`; 0 after a stop."""
    is_child = arguments.fd is not None
    lifeline.follow_parent(arguments.lifeline_fd)
    configure_logging(settings.log_format, "mock")
    if is_child:
        places.make_directories(settings)
        lifeline.ignore_terminal_signals()
        run_on_fast_loop(_serve(settings, MOCK_HOST, adopt_socket(arguments.fd)))
        return 0
    refuse_beside_gateway(settings)
    opened = open_socket(arguments.host, arguments.port)
    places.make_directories(settings)
    with announced(settings, "mock", opened):
        run_on_fast_loop(_serve(settings, describe_address(opened)[0], opened))
    return 0


def refuse_beside_gateway(settings: Settings) -> None:
    """ConfigError where a whole gateway owns the home: the bill in there has one writer."""
    owner = find_lock_owner(settings.home)
    # Short-lived verbs hold the lock as well: only a supervisor has noted its pid.
    if owner is None or owner != _read_supervisor(settings):
        return
    raise ConfigError(
        f"{settings.home} is in use by a gateway (pid {owner}), which keeps the mock's bill there",
        "give this mock a home of its own: APEX_HOME=.local-mock/home python main.py mock",
    )


def open_socket(host: str | None, port: int | None) -> socket.socket:
    """The listening socket; ConfigError when the asked-for place cannot be had."""
    if host is None and port is None:
        return open_mock_socket()
    number = MOCK_PORT if port is None else port
    try:
        opened = claim_port(host or MOCK_HOST, number, port is not None, "--port")
    except ConfigError as error:
        raise ConfigError(error.message, error.hint.replace("APEX_HOST", "--host")) from error
    opened.listen(BACKLOG)
    return opened


def _read_supervisor(settings: Settings) -> int | None:
    try:
        processes = orjson.loads(places.processes_path(settings).read_bytes())
        return int(processes["supervisor"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _serve(settings: Settings, host: str, opened: socket.socket) -> None:
    stop = stop_event_on(signal.SIGTERM, signal.SIGINT)
    tasks = TaskOwner()
    bill_path = places.mock_bill_path(settings)
    clock = Clock.of(settings)
    serving = tasks.start(run_mock(host, opened, bill_path, lambda: None, clock), "mock")
    stopped = tasks.start(stop.wait(), "stop")
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await tasks.stop()
    if not serving.cancelled():
        serving.result()  # its error: a bill that cannot be written, most likely
