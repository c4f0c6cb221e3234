"""Installs a hashed lock into a virtual environment; called by the Makefile with the system Python.

Standard library only, and readable by an old interpreter, so that it can say what is wrong with it.
uv does the work where it can be had (pinned by requirements-bootstrap.txt), pip does otherwise.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MINIMUM = (3, 11)
BOOTSTRAP_LOCK = "requirements-bootstrap.txt"
RUNTIME_LOCK = "requirements.txt"
# Settings of pip that uv has no counterpart for: where one is set, pip itself installs.
UNMAPPED = ("client-cert", "no-index", "proxy", "trusted-host")


class InstallError(Exception):
    """Stops the installation; the message says what to do."""


def say(text: str) -> None:
    print(f"install: {text}", flush=True)


def check_python() -> None:
    if sys.version_info[:2] < MINIMUM:
        needed, found = (".".join(map(str, v)) for v in (MINIMUM, sys.version_info[:2]))
        raise InstallError(
            f"Python {needed} or newer is needed, this is {found} ({sys.executable}).\n"
            "  hint: install a newer one and name it: make install PYTHON=python3.12"
        )


def make_venv(venv: Path) -> Path:
    """Returns the interpreter of the environment, making the environment when there is none."""
    python = venv / "bin" / "python"
    if python.exists() and subprocess.call([str(python), "-c", "import pip"]) == 0:
        return python
    say(f"making {venv} with {sys.executable}")
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(venv)]) != 0:
        raise InstallError(
            "python3 -m venv failed.\n"
            "  hint: on Debian and Ubuntu the module is a package: apt-get install python3-venv"
        )
    return python


def digest(python: Path, lock: Path) -> str:
    version = subprocess.check_output([str(python), "-V"])
    return hashlib.sha256(version + lock.read_bytes()).hexdigest()


def stamp_of(venv: Path, lock: Path) -> Path:
    return venv / f".installed-{lock.name}"


def is_up_to_date(venv: Path, python: Path, lock: Path) -> bool:
    stamp = stamp_of(venv, lock)
    return stamp.exists() and stamp.read_text() == digest(python, lock)


def write_stamps(venv: Path, python: Path, lock: Path) -> None:
    """Every other lock contains the runtime lock, so installing one installs the runtime too."""
    for name in {lock.name, RUNTIME_LOCK}:
        stamped = lock.with_name(name)
        if stamped.exists():
            stamp_of(venv, stamped).write_text(digest(python, stamped))


def read_pip_settings(listing: str) -> dict[str, str]:
    """pip's effective settings out of `pip config list`; the stronger section is read last."""
    ranked = {"global": 0, "install": 1, ":env:": 2}
    found = []
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section in ranked:
            found.append((ranked[section], key, str(ast.literal_eval(value))))
    return {key: value for _, key, value in sorted(found)}


def uv_environment(
    settings: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str] | None:
    """The environment that makes uv download as pip would, or None where it cannot."""
    if any(settings.get(key) for key in UNMAPPED):
        return None
    environment = dict(environ)
    mapped = {
        "SSL_CERT_FILE": settings.get("cert", ""),
        "UV_HTTP_TIMEOUT": settings.get("default-timeout", ""),
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(settings.get("find-links", "").split()),
        # As pip: the best version of all places. Safe, because every file is checked by its hash.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    for name, value in mapped.items():
        if value:
            environment.setdefault(name, value)
    return environment


def install_with_uv(python: Path, lock: Path) -> bool:
    """Returns False where uv cannot be had, cannot follow pip's settings, or fails."""
    listing = subprocess.check_output([str(python), "-m", "pip", "config", "list"]).decode()
    environment = uv_environment(read_pip_settings(listing), os.environ)
    bootstrap = lock.with_name(BOOTSTRAP_LOCK)
    if environment is None or not bootstrap.exists():
        return False
    say("fetching the pinned uv")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.call([*pip, "--require-hashes", "-r", str(bootstrap)]) != 0:
        return False
    say(f"installing {lock.name} with uv (hashes checked)")
    uv = [str(python.parent / "uv"), "pip", "install", "--python", str(python)]
    return subprocess.call([*uv, "--require-hashes", "-r", str(lock)], env=environment) == 0


def install_with_pip(python: Path, lock: Path) -> None:
    say(f"installing {lock.name} with pip (hashes checked); this takes about a minute")
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    if subprocess.call([*pip, "--require-hashes", "-r", str(lock)]) != 0:
        raise InstallError(
            "the dependencies could not be installed.\n"
            "  hint: check the network and pip's index settings (pip config list), then try again"
        )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    parser.add_argument("--installer", choices=("auto", "pip"), default="auto")
    parser.add_argument("lock", type=Path)
    options = parser.parse_args(arguments)
    try:
        check_python()
        python = make_venv(options.venv)
        if is_up_to_date(options.venv, python, options.lock):
            return 0
        if options.installer == "pip" or not install_with_uv(python, options.lock):
            install_with_pip(python, options.lock)
        write_stamps(options.venv, python, options.lock)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    say(f"done: {options.venv}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
