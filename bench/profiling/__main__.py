"""`python -m bench.profiling`: samples the proxy under load with py-spy. Run by `make profile`.

Writes a flame graph and the price of each stage into docs/bench. bench/peers.sh installs py-spy.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from bench.gateways.contestants import Place, free_port, ours
from bench.gateways.interpreter import choose
from bench.gateways.load import build_tools, run_load, start_mock
from bench.gateways.places import DOCS, peers_directory
from bench.gateways.processes import LOAD_CORE, BenchError, pinned
from bench.gateways.rounds import prime, say
from bench.gateways.scenarios import SCENARIOS, Scenario, find_scenario
from bench.gateways.starting import Running, start
from bench.gateways.tables import table
from bench.profiling.flame import draw
from bench.profiling.stacks import build_tree, price_stages, read_stacks

RATE_HZ = 250
LEAD_S = 2.0  # the load begins before the sampling and ends after it
MAIN_THREAD = "<module> (main.py"  # the root of the thread that answers


@dataclass(frozen=True, slots=True)
class Profile:
    """The stacks of one kind of work, one line each, and who ran them."""

    scenario: Scenario
    lines: list[str]
    python: str


def main() -> int:
    """0 when the files were written, 2 with the reason else."""
    parser = argparse.ArgumentParser(prog="python -m bench.profiling")
    parser.add_argument("--seconds", type=int, default=15)
    names = [each.name for each in SCENARIOS if "apex" in each.contestants]
    parser.add_argument("--scenario", default="miss-1k", choices=names)
    arguments = parser.parse_args()
    try:
        profile = record(find_scenario(arguments.scenario), arguments.seconds)
    except BenchError as error:
        print(f"profile: {error}", file=sys.stderr)
        return 2
    write(profile)
    return 0


def record(scenario: Scenario, seconds: int) -> Profile:
    """Start mock and gateway, load it, and sample it meanwhile. BenchError."""
    spy = peers_directory() / "py-spy" / "bin" / "py-spy"
    if not spy.exists():
        raise BenchError("py-spy is not installed: run bench/peers.sh")
    with tempfile.TemporaryDirectory(prefix="gateway-profile-") as directory:
        work = Path(directory)
        place = Place(work, choose(work), free_port(), peers_directory())
        build_tools(work)
        mock = start_mock(work, place.upstream_port)
        try:
            running, _ = start(ours(place)[0], place, 1)
            try:
                lines = sample(spy, running, work, scenario, seconds)
            finally:
                running.stop()
        finally:
            mock.stop()
        return Profile(scenario, lines, place.python.shown)


def sample(spy: Path, running: Running, work: Path, scenario: Scenario, seconds: int) -> list[str]:
    """The collapsed stacks of all threads that were on the processor. BenchError."""
    assert running.started is not None
    variant = prime(running.contestant, scenario) if scenario.is_repeated else 0
    length_s = seconds + 2 * LEAD_S
    loading = threading.Thread(
        target=run_load, args=(work, running.contestant, scenario, variant, length_s)
    )
    loading.start()
    loading.join(LEAD_S)
    target = work / "stacks.txt"
    words = ["record", "--pid", str(running.started.process.pid), "--duration", str(seconds)]
    options = ["--rate", str(RATE_HZ), "--format", "raw", "--function", "--output", str(target)]
    say(f"sampling {scenario.title} for {seconds} s")
    done = subprocess.run(
        pinned(LOAD_CORE, [str(spy), *words, *options], 0),
        capture_output=True, text=True, check=False, timeout=seconds + 60,
    )  # fmt: skip
    loading.join()
    if done.returncode or not target.exists():
        raise BenchError(f"py-spy failed: {done.stderr.strip()[-300:]}")
    return target.read_text().splitlines()


def write(profile: Profile) -> None:
    """Flame graph and table of the main thread."""
    stacks = read_stacks(profile.lines, MAIN_THREAD)
    prices = price_stages(stacks)
    samples = sum(stacks.values())
    beside = sum(read_stacks(profile.lines).values()) - samples
    title = f"{profile.scenario.title}: {samples} samples of its main thread, {profile.python}"
    rows = [(each.stage, f"{each.own:.1%}", f"{each.inclusive:.1%}") for each in prices]
    page = "\n\n".join([
        "# Price of each stage",
        f"Written by `make profile`: {title}, {RATE_HZ} a second, under load on a core of its own.",
        "`own`: the innermost of these stages on the stack, so that the column adds up to 100%. "
        "`with callees`: the stage is somewhere on the stack.",
        f"Other threads, such as the one that writes the log, had {beside} samples, most of them "
        "in system calls.",
        table(("stage", "own", "with callees"), rows),
        "![Flame graph, widths are shares of the samples](profile.svg)",
    ])  # fmt: skip
    DOCS.mkdir(parents=True, exist_ok=True)
    (DOCS / "profile.md").write_text(page + "\n")
    (DOCS / "profile.svg").write_text(draw(build_tree(stacks), title))
    print(f"{page}\n\nwritten: docs/bench/profile.md and .svg")


if __name__ == "__main__":
    sys.exit(main())
