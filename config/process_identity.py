"""Whether a process that left a file behind still lives, told apart from a later one of its pid.

Used by the metrics files.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A pid is used again, and after a reboot or in a new container soon; the three are not."""

    pid: int
    boot_id: str  # "" where the system has none
    started_ticks: int  # clock ticks from boot to the process's start; 0 where unknown

    def is_alive(self) -> bool:
        """Whether exactly this process runs; a zombie does not. Without /proc the pid has to do."""
        if self.boot_id != _read_boot_id():
            return False
        if not self.started_ticks:
            return _has_pid(self.pid)
        return _read_started_ticks(self.pid) == self.started_ticks


def identify_own() -> ProcessIdentity:
    """The identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(pid, _read_boot_id(), _read_started_ticks(pid))


def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _read_started_ticks(pid: int) -> int:
    """Field 22 of proc(5)'s stat; 0 when there is no such process or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The second field is the command in brackets, which may itself hold blanks and brackets.
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in {"Z", "X"} else int(fields[19])


def _has_pid(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
