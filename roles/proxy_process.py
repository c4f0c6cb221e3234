"""`python main.py proxy`: one data-plane process, or as many as APEX_WORKERS says when run alone.

Under the supervisor it inherits its socket. Alone it needs no control process: a short-lived child
builds the snapshot where there is none or apex.yaml is newer, so that SQL never gets in here.
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
from proxy.role import run_proxy
from roles import lifeline, places
from roles.engines import check_engines
from roles.listening import adopt_socket, open_lone_proxy_socket
from roles.loop import run_on_fast_loop, stop_event_on

PREPARE_TIMEOUT_S = 120


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `proxy`; 0 after a drain."""
    is_child = arguments.fd is not None
    lifeline.follow_parent(arguments.lifeline_fd)
    configure_logging(settings.log_format, f"proxy-{arguments.index}" if is_child else "proxy")
    if is_child:
        lifeline.ignore_terminal_signals()
        opened = adopt_socket(arguments.fd)
    else:
        check_engines(settings)
        _check_one_worker(settings)
        places.make_directories(settings)
        prepare_if_needed(settings)
        opened = open_lone_proxy_socket(settings)
    run_on_fast_loop(_serve(settings, arguments.index, opened, is_child))
    return 0


async def _serve(settings: Settings, index: int, opened: socket.socket, is_child: bool) -> None:
    signals = (signal.SIGTERM,) if is_child else (signal.SIGTERM, signal.SIGINT)
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
    """Whether the snapshot is there and not older than apex.yaml."""
    path = places.snapshot_path(settings)
    if not path.exists():
        return False
    config = settings.config_path
    if config is None:
        return True
    return config.exists() and path.stat().st_mtime >= config.stat().st_mtime


def _check_one_worker(settings: Settings) -> None:
    if settings.workers > 1:
        raise ConfigError(
            f"proxy alone is one process, and APEX_WORKERS is {settings.workers}",
            "unset APEX_WORKERS and start one proxy per core, or run: python main.py all",
        )
