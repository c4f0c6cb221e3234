"""Which Python runs the gateway and the yardsticks: one built with PGO where there is one.

Chosen by BENCH_PYTHON, else the system's if it is of the same version. It sees the packages of the
environment that runs the benchmark, through a path file in a throw-away environment.
"""

import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from bench.gateways.processes import BenchError

SYSTEM_PYTHON = Path("/usr/bin/python3")
ASK = (
    "import json, platform, sys, sysconfig; print(json.dumps({"
    "'version': platform.python_version(), 'series': list(sys.version_info[:2]),"
    "'arguments': sysconfig.get_config_var('CONFIG_ARGS') or '',"
    "'is_distributed': sys.base_prefix == '/usr'}))"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python and whether its build was guided by a profile."""

    path: str
    version: str
    is_pgo: bool

    @property
    def shown(self) -> str:
        return f"CPython {self.version}, {'with' if self.is_pgo else 'WITHOUT'} PGO"


@dataclass(frozen=True, slots=True)
class Facts:
    """What an interpreter says about itself; `arguments` are those of its configure."""

    version: str
    series: tuple[int, int]
    arguments: str
    is_distributed: bool

    @property
    def is_pgo(self) -> bool:
        """Distributions build with PGO by a make target of their own, so configure shows none."""
        return "--enable-optimizations" in self.arguments or self.is_distributed


def ask(python: Path | str) -> Facts:
    """Raises BenchError when it is no Python."""
    try:
        done = subprocess.run(
            [str(python), "-c", ASK], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BenchError(f"BENCH_PYTHON {python} does not run: {error}") from error
    said = json.loads(done.stdout)
    major, minor = said["series"]
    return Facts(said["version"], (major, minor), said["arguments"], said["is_distributed"])


def choose(directory: Path) -> Interpreter:
    """The interpreter of this run, in an environment of its own below `directory`."""
    wanted = os.environ.get("BENCH_PYTHON")
    ours = ask(sys.executable)
    if not wanted and (ours.is_pgo or not is_usable(SYSTEM_PYTHON, ours)):
        return Interpreter(sys.executable, ours.version, ours.is_pgo)
    python = Path(wanted) if wanted else SYSTEM_PYTHON
    facts = ask(python)
    if facts.series != ours.series:
        raise BenchError(f"{python} is {facts.version}, the packages here are for {ours.version}")
    return Interpreter(str(borrow_packages(python, directory)), facts.version, facts.is_pgo)


def is_usable(python: Path, ours: Facts) -> bool:
    """Whether it can run on our packages, and gains something by it."""
    if not python.exists():
        return False
    facts = ask(python)
    return facts.series == ours.series and facts.is_pgo


def borrow_packages(python: Path, directory: Path) -> Path:
    """An environment of that Python that finds the packages installed in ours."""
    place = directory / "python"
    subprocess.run([str(python), "-m", "venv", "--without-pip", str(place)], check=True)
    series = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    path_file = place / "lib" / series / "site-packages" / "borrowed.pth"
    path_file.write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin" / "python"
