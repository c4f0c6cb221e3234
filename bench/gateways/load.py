"""The C tools of bench/c: builds them, starts the mock upstream, runs the load generator."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from bench.gateways.contestants import Contestant
from bench.gateways.processes import (
    LOAD_CORE,
    BenchError,
    Started,
    clean_environment,
    run_on,
    start_on,
)
from bench.gateways.scenarios import MOCK_EVENTS, Scenario, body_of

SOURCES = Path(__file__).resolve().parent.parent / "c"
DRAIN_S = 25  # lg.c waits at most 15 s for what is still open
SHOWN_CHARACTERS = 200


def build_tools(work: Path) -> None:
    """Compile the load generator and the mock upstream into `work`. BenchError."""
    if shutil.which("gcc") is None:
        raise BenchError("gcc is missing (Debian: apt-get install gcc libc6-dev)")
    for name in ("lg", "mock"):
        source = str(SOURCES / f"{name}.c")
        command = ["gcc", "-O2", "-D_GNU_SOURCE", "-w", "-o", str(work / name), source]
        subprocess.run(command, check=True)


def start_mock(work: Path, port: int) -> Started:
    command = [str(work / "mock"), "-p", str(port), "-n", str(MOCK_EVENTS)]
    return start_on(LOAD_CORE, command, clean_environment({}), work / "mock.log")


def run_load(
    work: Path, contestant: Contestant, scenario: Scenario, variant: int, seconds: float
) -> dict[str, Any]:
    """One line of lg.c. BenchError when it did not finish, or nothing was answered correctly."""
    body = work / "body.json"
    body.write_bytes(body_of(scenario, contestant.model, variant))
    command = arguments(work, contestant, scenario, seconds)
    done = run_on(LOAD_CORE, command, seconds * 2 + DRAIN_S)
    return read_answer(done.stdout, done.stderr)


def arguments(work: Path, contestant: Contestant, scenario: Scenario, seconds: float) -> list[str]:
    """The command of one round; a quarter more than `seconds` goes before, to warm up."""
    headers = contestant.hit_headers if scenario.is_repeated else contestant.headers
    return [
        str(work / "lg"), "-p", str(contestant.port), "-u", contestant.path,
        "-t", f"{seconds:g}", "-w", f"{max(0.5, seconds / 4):g}", "-b", str(work / "body.json"),
        "-K", str(contestant.keys), *scenario.load.split(),
        *(["-e", str(MOCK_EVENTS)] if scenario.is_stream else []),
        *(word for header in headers for word in ("-H", header)),
    ]  # fmt: skip


def read_answer(printed: str, complaints: str) -> dict[str, Any]:
    """What lg.c printed. BenchError where not a single answer was right."""
    try:
        said: dict[str, Any] = json.loads(printed)
    except ValueError:
        raise BenchError(f"the load generator said {printed[:SHOWN_CHARACTERS]!r}") from None
    if not said["ok"]:
        words = " ".join(complaints.split())[:SHOWN_CHARACTERS] or "it did not answer"
        raise BenchError(f"no correct answer: {words}")
    return said
