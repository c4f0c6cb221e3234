"""`python main.py proxy`: one data-plane process, or as many as APEX_WORKERS says when run alone.

Under the supervisor it inherits its socket. Alone it needs no control process: a short-lived child
builds the snapshot at the start, where there is none or apex.yaml is newer, and every few minutes
after, so that SQL never gets in here.
"""

import argparse
import signal
import socket
import subprocess
import sys
from pathlib import Path

from config.errors import ConfigError
from config.log import configure_logging
from config.settings import Settings
from config.tasks import TaskOwner
from policies.snapshot_age import UNCONFIRMED_AFTER_S, read_age_s
from proxy.role import run_proxy
from roles import lifeline, places
from roles.engines import check_engines
from roles.gate import wait_at_gate
from roles.keep_prepared import keep_prepared
from roles.listening import adopt_socket, open_lone_proxy_socket
from roles.lone_proxies import run_many
from roles.loop import run_on_fast_loop, stop_event_on
from roles.open_ports import announced

PREPARE_TIMEOUT_S = 120


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `proxy`; 0 after a drain."""
    if arguments.fd is not None:
        return _run_child(settings, arguments)
    configure_logging(settings.log_format, "proxy")
    check_engines(settings)
    places.make_directories(settings)
    prepare_if_needed(settings)
    if settings.workers > 1 or settings.has_server:
        return run_many(settings)
    opened = open_lone_proxy_socket(settings)
    with announced(settings, "proxy", opened):
        run_on_fast_loop(_serve_alone(settings, opened))
    return 0


def _run_child(settings: Settings, arguments: argparse.Namespace) -> int:
    lifeline.follow_parent(arguments.lifeline_fd)
    lifeline.ignore_terminal_signals()
    configure_logging(settings.log_format, f"proxy-{arguments.index}")
    opened = adopt_socket(arguments.fd)
    wait_at_gate(arguments.gate_fd)
    run_on_fast_loop(_serve(settings, arguments.index, opened, (signal.SIGTERM,)))
    return 0


async def _serve_alone(settings: Settings, opened: socket.socket) -> None:
    tasks = TaskOwner()
    tasks.start(keep_prepared(settings), "keep prepared")
    try:
        await _serve(settings, 0, opened, (signal.SIGTERM, signal.SIGINT))
    finally:
        await tasks.stop()


async def _serve(
    settings: Settings, index: int, opened: socket.socket, signals: tuple[signal.Signals, ...]
) -> None:
    await run_proxy(settings, index, opened, stop_event_on(*signals))


def prepare_if_needed(settings: Settings) -> None:
    """Have a child build the snapshot unless a fresh one is there; ConfigError when it cannot."""
    if is_snapshot_fresh(settings):
        return
    main_path = Path(__file__).resolve().parent.parent / "main.py"
    command = [sys.executable, str(main_path), "prepare"]
    try:
        done = subprocess.run(
            command, env=dict(settings.environ), check=False, timeout=PREPARE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"building the snapshot took longer than {PREPARE_TIMEOUT_S} s",
            "run it by hand to see why: python main.py migrate",
        ) from None
    if done.returncode != 0:
        raise ConfigError(
            "the snapshot could not be built",
            "the error above, of the process that tried, says why",
        )


def is_snapshot_fresh(settings: Settings) -> bool:
    """Whether the snapshot is there and not older than apex.yaml, nor than a SQL server's word."""
    age_s = read_age_s(settings.home)
    if settings.has_sql_server and (age_s is None or age_s > UNCONFIRMED_AFTER_S):
        return False
    path = places.snapshot_path(settings)
    if not path.exists():
        return False
    config = settings.config_path
    if config is None:
        return True
    return config.exists() and path.stat().st_mtime >= config.stat().st_mtime
