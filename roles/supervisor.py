"""`python main.py all`: owns the home and the ports, and keeps every other process running.

Order of start: lock, ports, control process (builds the snapshot), mock if one is declared,
proxies, banner. Order of stop: proxies drain, then the control process ships what they wrote.
"""

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from config.clock import Clock
from config.errors import ConfigError
from config.home import SHIPPER_LOCK_FILE, HomeLock
from config.log import configure_logging
from config.settings import Settings
from roles import places
from roles.admin_token import load_admin_token
from roles.announcing import Announcer, SnapshotNews
from roles.checking import check_in_child
from roles.child import Child, ChildSpec, Launch, Report
from roles.children import Children
from roles.engines import check_engines
from roles.gate import Gate
from roles.listening import is_answering
from roles.open_ports import OpenPorts

DRAIN_MARGIN_S = 5.0
CONTROL_STOP_S = 20.0
MOCK_STOP_S = 3.0
FAILED_STARTS = 3
PROBE_S = 1.0

_log = logging.getLogger(__name__)


class StopRequested(Exception):  # noqa: N818  it is news, not an error
    """SIGTERM or SIGINT came while the gateway was still starting."""


class Supervisor:
    """Runs under the home lock, in the main thread (the parent-death signal is bound to it)."""

    def __init__(self, settings: Settings, ports: OpenPorts, launch: Launch) -> None:
        self._settings = settings
        self._ports = ports
        self._announcer = Announcer(settings, launch.clock)
        self._children = Children(launch, places.processes_path(settings), self._on_report)
        self._gate = Gate()
        self._changed = asyncio.Event()
        self._signals = 0
        self._ends_with_terminal = _has_terminal() and (
            signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # nohup asked to live on
        )
        self._refusal: ConfigError | None = None
        self._news: SnapshotNews | None = None
        self._is_control_ready = False
        self._is_announced = False
        self._drain_s = 30.0

    async def run(self) -> None:
        """Until a signal ends it; ConfigError when the gateway cannot start."""
        self._listen_for_signals()
        try:
            await self._start()
            await self._until(lambda: False)
        except StopRequested:
            self._announcer.announce_stop(self._drain_s)
        finally:
            await self._stop()
            self._gate.close()
        if self._signals == 1:  # a second one did not wait for a clean end
            self._announcer.announce_stopped()

    # -- start ------------------------------------------------------------------------------------

    async def _start(self) -> None:
        ports = self._ports
        self._announcer.announce_step(
            f"home {self._settings.home} locked, listening on {ports.proxy_url}, {ports.admin_url}"
        )
        self._children.start(
            ChildSpec(
                "control",
                ("control", f"--fd={ports.admin.fileno()}", f"--mock-url={ports.mock_url}"),
                (ports.admin.fileno(),),
            )
        )
        self._start_proxies()
        await self._until(self._has_usable_snapshot)
        self._gate.open()
        self._announcer.announce_step(self._describe_snapshot())
        await self._until_proxies_answer()
        self._announcer.announce_step(f"{self._describe_workers()} up on {ports.proxy_url}")
        await self._until(lambda: self._is_control_ready and self._news is not None)
        self._announcer.announce_step(f"control plane up on {ports.admin_url}")
        self._announce_ready()

    def _start_proxies(self) -> None:
        gate_fd = self._gate.read_fd
        for index, opened in enumerate(self._ports.proxies):
            fd = opened.fileno()
            words = ("proxy", f"--index={index}", f"--fd={fd}", f"--gate-fd={gate_fd}")
            self._children.start(ChildSpec(f"proxy-{index}", words, (fd, gate_fd)))

    def _start_mock(self) -> None:
        if self._children.find("mock") is None:
            opened = self._ports.open_mock()
            self._children.start(
                ChildSpec("mock", ("mock", f"--fd={opened.fileno()}"), (opened.fileno(),))
            )
            self._ports.announce("mock")

    async def _until_proxies_answer(self) -> None:
        while not await is_answering(self._ports.proxies[0], PROBE_S):
            self._check()
            self._give_up_after_failures("proxy")
            await asyncio.sleep(0.05)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Wait for news that make the condition true; StopRequested or ConfigError end the wait."""
        while not is_so():
            self._check()
            self._changed.clear()
            await self._changed.wait()

    def _check(self) -> None:
        if self._signals:
            raise StopRequested
        if self._refusal is not None:
            raise self._refusal

    def _has_usable_snapshot(self) -> bool:
        """A fresh snapshot, or, when the control process is failing, the last good one."""
        if self._news is not None:
            return True
        control = self._children.find("control")
        has_failed = control is not None and control.deaths > 0
        if has_failed and places.snapshot_path(self._settings).exists():
            return True
        self._give_up_after_failures("control")
        return False

    def _give_up_after_failures(self, prefix: str) -> None:
        for child in self._children.list_named(prefix):
            if child.deaths >= FAILED_STARTS:
                raise ConfigError(
                    f"{child.spec.name} ended {child.deaths} times before the gateway was up",
                    "its own messages are above; "
                    "an APEX_HOME that is new and empty tells a bad setting from damaged state",
                )

    # -- news -------------------------------------------------------------------------------------

    def _on_report(self, _: Child, report: Report) -> None:
        kind = report.pop("type")
        if kind == "operator":
            self._drain_s = float(report["drain_s"])
            self._start_mock_if(report["needs_mock"])
        elif kind == "snapshot":
            self._news = SnapshotNews(**report)
            if self._is_announced:
                self._announcer.announce_new_keys(self._news)
        elif kind == "ready":
            self._is_control_ready = True
        elif kind == "refused":
            self._refuse(ConfigError(report["message"], report["hint"]))
        self._changed.set()

    def _refuse(self, error: ConfigError) -> None:
        """At the start it ends everything; later the proxies serve on without a control process."""
        if self._is_announced:
            _log.error("the control process cannot start: %s", error)
        else:
            self._refusal = error

    def _start_mock_if(self, needs_mock: bool) -> None:
        if needs_mock and not self._signals:
            self._start_mock()

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_stop_signal(self) -> None:
        self._signals += 1
        if self._signals > 1:
            _log.warning("a second signal: ending everything now, without a drain")
            self._children.kill_all()
        self._changed.set()

    def _on_hangup(self) -> None:
        """Read apex.yaml again, unless the terminal this was started from has been closed."""
        if self._ends_with_terminal and not _has_terminal():
            self._on_stop_signal()
            return
        control = self._children.find("control")
        if control is not None:
            control.send_signal(signal.SIGHUP)

    # -- stop -------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """Proxies first: the mock answers them to the end, the control process ships the rest."""
        self._ports.withdraw()
        self._ports.close_proxies()
        await self._children.stop("proxy", self._drain_s + DRAIN_MARGIN_S)
        await self._children.stop("control", CONTROL_STOP_S)
        await self._children.stop("mock", MOCK_STOP_S)
        await self._children.close()
        self._ports.close()

    # -- words ------------------------------------------------------------------------------------

    def _announce_ready(self) -> None:
        assert self._news is not None
        ports = self._ports
        ports.announce("proxy")
        ports.announce("admin")
        self._announcer.announce_new_keys(self._news)
        self._announcer.announce_ready(
            self._news,
            {"proxy": ports.proxy_url, "admin": ports.admin_url},
            load_admin_token(self._settings),
        )
        self._is_announced = True

    def _describe_snapshot(self) -> str:
        if self._news is None:
            return "control process failing, serving from the last good snapshot"
        default = self._news.default_upstream or "by model"
        return f"snapshot {self._news.number} built, upstream {default}"

    def _describe_workers(self) -> str:
        count = len(self._ports.proxies)
        return "1 proxy process" if count == 1 else f"{count} proxy processes"


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `all`; 0 after a clean stop."""
    del arguments
    configure_logging(settings.log_format, "supervisor")
    check_engines(settings)
    refused = check_in_child(settings)  # before anything is made
    if refused:
        return refused
    with HomeLock(settings.home), HomeLock(settings.home, SHIPPER_LOCK_FILE):
        places.make_directories(settings)
        places.forget_last_run(settings)
        load_admin_token(settings)  # made here, so that no child races for it
        ports = OpenPorts.open(settings)
        lifeline_read, lifeline_write = os.pipe()  # the write end is closed by our death alone
        main_path = Path(__file__).resolve().parent.parent / "main.py"
        launch = Launch(main_path, settings.environ, lifeline_read, Clock.of(settings))
        try:
            asyncio.run(Supervisor(settings, ports, launch).run())
        finally:
            os.close(lifeline_read)
            os.close(lifeline_write)
    return 0


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
