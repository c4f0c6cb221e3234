"""Makes the environment that a client stack needs; called by tests/e2e/test_stacks.py.

Python's are made by the uv of the main environment from the hashed lock beside the script, node's
by `npm ci`. What is up to date is left alone; what cannot be made fails with the tool's own words.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy import install
from tests.stacks.catalogue import HERE, Stack

ENVIRONMENTS = HERE.parent.parent / ".venv-stacks"
INSTALL_TIMEOUT_S = 300
FAILED = "the client's packages could not be installed"
HINT = "hint: is the package registry in reach?"


class EnvironmentFailedError(Exception):
    """The stack cannot be tried here; the message says why and what to do."""


def prepare(stack: Stack) -> list[str]:
    """The command that runs the script, its environment made. Raises EnvironmentFailedError."""
    if stack.path.suffix == ".sh":
        return [find("sh"), str(stack.path)]
    if stack.path.suffix == ".mjs":
        install_node(stack.path.parent)
        return [find("node"), str(stack.path)]
    if not stack.environment:
        return [sys.executable, str(stack.path)]
    lock = HERE / f"{stack.environment}.txt"
    return [str(install_python(ENVIRONMENTS / stack.environment, lock)), str(stack.path)]


def install_python(venv: Path, lock: Path) -> Path:
    """The interpreter of an environment that holds exactly what the lock says."""
    python = venv / "bin" / "python"
    with alone(venv):
        if python.exists() and install.is_up_to_date(venv, python, lock):
            return python
        uv, environ = find_uv(), pip_environment()
        run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)], environ)
        command = [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes"]
        run([*command, "-r", str(lock)], environ)
        install.write_stamps(venv, python, lock)
    return python


def install_node(directory: Path) -> None:
    """node_modules in this directory, as its package-lock.json says."""
    lock = directory / "package-lock.json"
    stamp = directory / "node_modules" / ".installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    with alone(ENVIRONMENTS / directory.name):
        if not stamp.exists() or stamp.read_text() != wanted:
            words = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            run([find("npm"), *words], os.environ, directory)
            stamp.write_text(wanted)


def find(tool: str) -> str:
    """Where a tool of the machine is."""
    found = shutil.which(tool)
    if found is None:
        raise EnvironmentFailedError(f"{tool} is not on the path.\n  hint: install it")
    return found


def find_uv() -> str:
    """The pinned uv that `make install-dev` fetches."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise EnvironmentFailedError(
            f"there is no {uv}.\n  hint: .venv/bin/pip install --require-hashes "
            f"-r {install.BOOTSTRAP_LOCK}"
        )
    return str(uv)


def pip_environment() -> Mapping[str, str]:
    """An environment in which uv downloads as pip is told to on this machine."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    settings = install.read_pip_settings(subprocess.check_output(command, text=True))
    environ = install.uv_environment(settings, os.environ)
    if environ is None:
        raise EnvironmentFailedError(
            f"uv cannot follow one of pip's settings here: {', '.join(install.UNMAPPED)}.\n"
            "  hint: unset it, or set uv's own"
        )
    return environ


def run(command: list[str], environ: Mapping[str, str], directory: Path = HERE) -> None:
    """Run a tool to its end. Raises EnvironmentFailedError with what it said."""
    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        said = f"not done in {INSTALL_TIMEOUT_S} s"
    else:
        if done.returncode == 0:
            return
        said = done.stderr.strip()
    raise EnvironmentFailedError(f"{FAILED}.\n  {HINT}\n{' '.join(command)}\n{said}")


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Wait for other test processes that make the same environment."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
