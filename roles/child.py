"""One child process kept alive by the supervisor: started, restarted with backoff, stopped.

A child is this program again with another verb. It inherits its listening socket, the read end
of the lifeline (roles/lifeline.py) and a pipe on which it reports to the supervisor in JSON lines.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.bus import decode_line
from config.clock import Clock

FIRST_BACKOFF_S = 0.05
LONGEST_BACKOFF_S = 5.0
LONGEST_REPORT_BYTES = 64 * 1024 * 1024  # a snapshot's report names every model and tenant
# A child that lived this long failed for a new reason; one that was killed did not fail at all.
STEADY_AFTER_S = 10.0

Report = dict[str, Any]
OnReport = Callable[["Child", Report], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to start: the words after `main.py`, and the descriptors it inherits."""

    name: str
    words: tuple[str, ...]
    inherited_fds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """What all children of one supervisor share."""

    main_path: Path
    environ: Mapping[str, str]
    lifeline_fd: int
    clock: Clock


class Child:
    """Runs its process again and again until stopped; `on_report` hears of everything.

    Reports are what the child wrote, and {"type": "started" | "died"} of the child itself.
    """

    def __init__(self, spec: ChildSpec, launch: Launch, on_report: OnReport) -> None:
        self.spec = spec
        self.deaths = 0
        self.exit_status: int | None = None
        self._launch = launch
        self._on_report = on_report
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The running process, None between two lives."""
        is_running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and is_running else None

    async def keep_running(self) -> None:
        """Start the process, and start it again whenever it ends, until `stop` is called."""
        backoff_s = FIRST_BACKOFF_S
        while not self._stopping.is_set():
            started_at = self._launch.clock.monotonic()
            await self._live_once()
            self.deaths += 1
            self._on_report(self, {"type": "died"})
            if self._stopping.is_set():
                return
            lived_s = self._launch.clock.monotonic() - started_at
            if lived_s >= STEADY_AFTER_S or self.exit_status == -signal.SIGKILL:
                backoff_s = FIRST_BACKOFF_S
            _log.warning(
                "%s ended (%s) after %.1f s, starting it again in %.2f s",
                self.spec.name,
                _describe_exit(self.exit_status),
                lived_s,
                backoff_s,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff_s):
                    await self._stopping.wait()
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    async def stop(self, timeout_s: float) -> None:
        """Ask the process to end; kill it when it has not within `timeout_s`."""
        self._stopping.set()
        self.send_signal(signal.SIGTERM)
        if self._process is None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            _log.error("%s did not end within %.0f s, killing it", self.spec.name, timeout_s)
            self.send_signal(signal.SIGKILL)
            await self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process if there is one."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _live_once(self) -> None:
        read_fd, write_fd = os.pipe()
        try:
            self._process = await self._start(write_fd)
        except OSError as error:  # out of processes or memory: as good as a death
            _log.error("cannot start %s: %s", self.spec.name, error)
            os.close(read_fd)
            return
        finally:
            os.close(write_fd)
        self._on_report(self, {"type": "started", "pid": self._process.pid})
        if self._stopping.is_set():  # stopped while it was being started
            self.send_signal(signal.SIGTERM)
        await self._read_reports(read_fd)
        self.exit_status = await self._process.wait()

    async def _start(self, report_fd: int) -> asyncio.subprocess.Process:
        launch = self._launch
        words = (
            *self.spec.words,
            f"--lifeline-fd={launch.lifeline_fd}",
            f"--report-fd={report_fd}",
        )
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(launch.main_path),
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(launch.lifeline_fd, report_fd, *self.spec.inherited_fds),
            env=dict(launch.environ),
            process_group=0,  # the terminal's signals reach the supervisor alone
        )

    async def _read_reports(self, read_fd: int) -> None:
        """Hand on what the child reports; the pipe ends when the child does."""
        reader = asyncio.StreamReader(limit=LONGEST_REPORT_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb", buffering=0)
        )
        try:
            while line := await reader.readline():
                report = decode_line(line)
                if report is not None:
                    self._on_report(self, report)
        except ValueError:
            _log.error("%s reported more than %d bytes", self.spec.name, LONGEST_REPORT_BYTES)
        finally:
            transport.close()


def _describe_exit(status: int | None) -> str:
    if status is None:
        return "it could not be started"
    if status < 0:
        return signal.Signals(-status).name
    return f"status {status}"
