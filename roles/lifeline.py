"""How a child process learns that its supervisor is gone: called first by every child role.

Two nets, since a child that outlives its supervisor would keep the stores open: the kernel's
parent-death signal where there is one, and everywhere a pipe that only the supervisor writes to.
"""

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1


def follow_parent(lifeline_fd: int | None) -> None:
    """Die at once when the supervisor does; does nothing in a process started by hand.

    Everything a child must not lose is on disk before it is acknowledged, so dying without a
    drain is safe, while draining on would keep the embedded stores from the next start.
    """
    if lifeline_fd is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    watcher = threading.Thread(target=_wait_for_end, args=(lifeline_fd,), daemon=True)
    watcher.name = "lifeline"
    watcher.start()


def ignore_terminal_signals() -> None:
    """Ctrl-C and a closed terminal are the supervisor's to handle: it tells the children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _wait_for_end(lifeline_fd: int) -> None:
    while os.read(lifeline_fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
