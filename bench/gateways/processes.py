"""Processes on chosen cores, with the kernel's account of their CPU and memory.

Used by everything here that starts something. Whole process trees are measured and stopped.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GATEWAY_CORE, LOAD_CORE, BOTH_CORES = "0", "1", "0,1"
STOP_S = 45
SHOWN_LINES = 12


class BenchError(Exception):
    """Something of the benchmark cannot go on; the message says what and why."""


def niceness() -> int:
    """BENCH_NICE; by default -20 where that is allowed, so that other work disturbs less."""
    return int(os.environ.get("BENCH_NICE") or (-20 if os.geteuid() == 0 else 0))


@dataclass(frozen=True, slots=True)
class Started:
    """A process with all it starts; `log` holds what it printed."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def tree(self) -> list[int]:
        return tree_of(self.process.pid)

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-SHOWN_LINES:])

    def stop(self) -> None:
        """SIGTERM to the process and a clean end of its group, or SIGKILL in the end."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_S)


def start_on(
    cores: str, command: Sequence[str], environment: Mapping[str, str], log: Path, *,
    is_urgent: bool = True, pass_fds: Sequence[int] = (),
) -> Started:  # fmt: skip
    """Start on these cores; what is not urgent gives way to what is measured."""
    nice = niceness() if is_urgent else 0
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned(cores, command, nice), env=environment, cwd=log.parent, pass_fds=pass_fds,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    set_group_niceness(process.pid, nice)
    return Started(process, log)


def run_on(
    cores: str, command: Sequence[str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run to its end on these cores, with what it printed. BenchError when it takes longer."""
    with subprocess.Popen(
        pinned(cores, command, niceness()), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        set_group_niceness(process.pid, niceness())
        try:
            printed, complaints = process.communicate(timeout=timeout_s)
        except BaseException as error:
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise BenchError(f"{command[0]} ran longer than {timeout_s:.0f} s") from error
            raise
    return subprocess.CompletedProcess(command, process.returncode, printed, complaints)


def set_group_niceness(pid: int, nice: int) -> None:
    """A session of its own is a scheduling group of its own, and that has a niceness too."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def pinned(cores: str, command: Sequence[str], nice: int) -> list[str]:
    taskset = shutil.which("taskset")
    if taskset is None:
        raise BenchError("taskset is missing (Debian: apt-get install util-linux)")
    lead = ["nice", "-n", str(nice)] if nice else []
    return [*lead, taskset, "-c", cores, *command]


def clean_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The shell's environment without gateway settings, provider keys and Python's paths."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("APEX_", "PYTHON")) and not name.endswith("_API_KEY")
    }
    return kept | dict(changes)


def tree_of(pid: int) -> list[int]:
    """A process and its descendants; those that have ended are left out."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += tree_of(int(child))
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """The CPU seconds that these processes have used."""
    total_ns = 0
    for pid in pids:
        for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total_ns += int(stat.read_text().split()[0])
    return total_ns / 1e9


def pss_mib(pids: Sequence[int]) -> float:
    """The memory of these processes in MiB; what they share is shared out."""
    total_kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total_kib += int(line.split()[1])
    return total_kib / 1024
