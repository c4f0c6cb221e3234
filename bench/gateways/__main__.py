"""`python -m bench.gateways`: measures ours, the yardsticks and, with --peers, the peers.

Run by `make bench` and `make bench-peers`; writes a table and a chart into docs/bench.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from bench.gateways import chart, tables
from bench.gateways.conserving import describe_records
from bench.gateways.contestants import Contestant, Place, free_port, ours, yardsticks
from bench.gateways.figures import Report, load_report
from bench.gateways.interpreter import choose
from bench.gateways.load import build_tools, start_mock
from bench.gateways.peers import peers
from bench.gateways.places import DOCS, KEPT, describe_machine, peers_directory
from bench.gateways.processes import BenchError
from bench.gateways.rounds import Contest, say
from bench.gateways.scenarios import SUSTAINED


def main() -> int:
    """0 when a table was written, whoever of the peers took part; 2 when ours did not run."""
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    name = "peers" if arguments.peers else "quick"
    try:
        report = load_report(arguments.render) if arguments.render else measure(arguments)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    write(report, name)
    return 0 if report.runs_of("miss-1k", "apex") else 2


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gateways")
    parser.add_argument("--peers", action="store_true", help="measure the installed peers too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--starts", type=int, default=3, help="cold starts of each gateway")
    parser.add_argument("--load-minutes", type=float, default=0.0, help="before memory is read")
    parser.add_argument("--render", type=Path, help="write the table of a kept run again")
    return parser.parse_args()


def measure(arguments: argparse.Namespace) -> Report:
    """The whole run. BenchError when not even the yardsticks can be started."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        work = Path(directory)
        place = Place(work, choose(work), free_port(), peers_directory())
        report = Report(
            command="make bench-peers" if arguments.peers else "make bench",
            python=place.python.shown, machine=describe_machine(),
            rounds=arguments.rounds, seconds=arguments.seconds,
        )  # fmt: skip
        say(f"{place.python.shown} ({place.python.path})")
        build_tools(work)
        mock = start_mock(work, place.upstream_port)
        contest = Contest(place, report, arguments.starts)
        try:
            contest.start_all(line_up(place, with_peers=arguments.peers))
            contest.run_scenarios()
            contest.keep_loading("apex", SUSTAINED, arguments.load_minutes)
        finally:
            contest.stop_all()
            mock.stop()
        report.recorded = describe_records(place.python.path, work / "apex")
        return report


def line_up(place: Place, *, with_peers: bool) -> list[Contestant]:
    return [*yardsticks(place), *ours(place), *(peers(place) if with_peers else [])]


def write(report: Report, name: str) -> None:
    """Table and chart into docs/bench, the figures themselves into build/bench."""
    for directory in (DOCS, KEPT):
        directory.mkdir(parents=True, exist_ok=True)
    page = tables.render(report, f"{name}.svg")
    (DOCS / f"{name}.md").write_text(page)
    (DOCS / f"{name}.svg").write_text(chart.draw(report))
    report.save(KEPT / f"{name}.json")
    print(f"\n{page}\nwritten: docs/bench/{name}.md and .svg, build/bench/{name}.json")


if __name__ == "__main__":
    sys.exit(main())
