"""Real servers that tests start themselves: one process of ours each, signalled by its pid.

tests/servers/postgresql.py and its neighbours say what to start; a server that is not installed
fails the test with the package to install, it never skips it.
"""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.02
# Below the ports that a kernel gives to outgoing connections.
PORTS = range(20_000, 32_000)


class WithBlock:
    """Starts what it is at the block's beginning, and closes it at its end or when that failed."""

    def open(self) -> None:
        """Start everything; called once."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop it and remove everything."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Server:
    """One server process, and its children where it forks; `command` runs in the foreground.

    It ends with the test process, whatever becomes of that one.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        *,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        cwd: Path = Path("/"),
    ) -> None:
        """`user`: whom to run it as where we are root and the server refuses to be."""
        self._cwd = cwd
        self.name = name
        self._command = [*_as_user(user, stop_signal), *command]
        self._log_path = log_path
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, is_up: Callable[[], bool]) -> None:
        """Start it and wait until it serves; AssertionError shows its log."""
        assert self._process is None, f"{self.name} runs already"
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._cwd
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self.name} did not come up:\n{self.log}")
            time.sleep(POLL_S)

    @property
    def log(self) -> str:
        """All it has printed."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ask it to end, as at a planned restart; kill it when it does not."""
        if self._process is None:
            return
        self.resume()  # a paused process hears nothing
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL for it and its children; its address then refuses connections."""
        if self._process is not None:
            self._signal_all(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, and nobody answers on them."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on where it was."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """The parent first, so that it forks no more."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        for pid in _descendants(self._process.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def find_binary(name: str, package: str, directories: Sequence[str] = ()) -> str:
    """Path of a server's program; AssertionError names the Debian package that has it."""
    path = shutil.which(name, path=os.pathsep.join([*directories, os.defpath, "/usr/sbin"]))
    assert path, f"{name} is not installed, and these tests need it: apt-get install {package}"
    return path


def pick_port() -> int:
    """A TCP port of 127.0.0.1 that is free now, and that the server may have again later."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def accepts_connections(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def _as_user(user: str | None, death_signal: signal.Signals) -> list[str]:
    """Words before the command: end with us, and as `user` where we are root."""
    words = [find_binary("setpriv", "util-linux")]
    if user is not None and os.geteuid() == 0:
        words += [f"--reuid={user}", f"--regid={_group_of(user)}", "--clear-groups"]
    return [*words, f"--pdeathsig={death_signal.name.removeprefix('SIG')}", "--"]


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        children = Path("/proc", str(pid), "task", str(pid), "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return found
    for child in children:
        found += [int(child), *_descendants(int(child))]
    return found
