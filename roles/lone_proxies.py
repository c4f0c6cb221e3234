"""`python main.py proxy`: APEX_WORKERS proxies on one port and what ships for them, kept running.

Called by roles/proxy_process.py for more than one proxy, or a server to ship to. No control process
and no home lock: beside another host's control plane this is a whole data plane.
"""

import asyncio
import logging
import os
import signal
import socket
from pathlib import Path

from config.clock import Clock
from config.secrets import load_key_ring
from config.settings import Settings
from config.tasks import TaskOwner
from policies.snapshot import read_snapshot_file
from roles import places
from roles.child import Child, ChildSpec, Launch, Report
from roles.children import Children
from roles.keep_prepared import keep_prepared
from roles.listening import close_all, open_proxy_sockets
from roles.open_ports import announced

DRAIN_MARGIN_S = 5.0
COMPANION = "companion"
COMPANION_STOP_S = 20.0

_log = logging.getLogger(__name__)


def run_many(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT, then drain; the snapshot is on disk already."""
    snapshot = read_snapshot_file(places.snapshot_path(settings), load_key_ring(settings))
    sockets = open_proxy_sockets(settings)
    lifeline_read, lifeline_write = os.pipe()  # the write end is closed by our death alone
    main_path = Path(__file__).resolve().parent.parent / "main.py"
    launch = Launch(main_path, settings.environ, lifeline_read, Clock.of(settings))
    try:
        with announced(settings, "proxy", sockets[0]):
            asyncio.run(_keep_running(settings, launch, sockets, snapshot.limits.drain_s))
    finally:
        os.close(lifeline_read)
        os.close(lifeline_write)
    return 0


async def _keep_running(
    settings: Settings, launch: Launch, sockets: list[socket.socket], drain_s: float
) -> None:
    processes = places.run_directory(settings) / f"proxies-{os.getpid()}.json"
    children = Children(launch, processes, _ignore_report)
    stop = _stop_on_signals(children)
    tasks = TaskOwner()
    tasks.start(keep_prepared(settings), "keep prepared")
    for index, opened in enumerate(sockets):
        fd = opened.fileno()
        words = ("proxy", f"--index={index}", f"--fd={fd}")
        children.start(ChildSpec(f"proxy-{index}", words, (fd,)))
    if settings.has_server:
        children.start(ChildSpec(COMPANION, (COMPANION,)))
    await stop.wait()
    await tasks.stop()
    close_all(sockets)
    await children.stop("proxy", drain_s + DRAIN_MARGIN_S)
    await children.stop(COMPANION, COMPANION_STOP_S)  # last: it ships what the proxies wrote
    await children.close()


def _ignore_report(_: Child, report: Report) -> None:
    _log.debug("a proxy reports %s", report["type"])


def _stop_on_signals(children: Children) -> asyncio.Event:
    """The first signal drains, the second kills."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            children.kill_all()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop
