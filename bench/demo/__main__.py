"""`make demo`: both policies, one after the other, on the same requests; a table and a page.

Exit status 1 when a request fails, a model is substituted, or ours is not exactly the mock's bill.
"""

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.demo import table
from bench.demo.accounts import compare
from bench.demo.gateway import DemoError, SimulatedTime, run_gateway, run_mock
from bench.demo.lines import build_sections
from bench.demo.outcome import Outcome, added_latency
from bench.demo.page import render_page
from bench.demo.replay import Seen, replay
from bench.demo.workload import TRACE_START_S, Call, load_calls
from config.clock import Clock

POLICIES = ("passthrough", "balanced")
DIMENSIONS = ("served_model", "cache", "arm", "tag", "day")
DIRECT_SHARE = 8  # one call in so many is sent without a gateway, too
LEAST_DIRECT = 20
LEAD_S = 0.2  # between the start being set and the first request


def read_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.demo", description=__doc__)
    parser.add_argument("--requests", type=int, default=5000, help="per policy (default: 5000)")
    parser.add_argument("--seconds", type=float, default=55, help="per policy (default: 55)")
    parser.add_argument("--start-seconds", type=float, default=12, help="allowed for a start")
    parser.add_argument("--report", type=Path, default=Path("demo-report.html"))
    arguments = parser.parse_args(words)
    if arguments.requests < LEAST_DIRECT or arguments.seconds <= 0:
        parser.error(f"it takes {LEAST_DIRECT} requests and some time")
    return arguments


async def run_direct(directory: Path, calls: Sequence[Call], scale: int) -> list[Seen]:
    """The middle of the trace without a gateway: what its calls take on their own."""
    count = min(len(calls), max(LEAST_DIRECT, len(calls) // DIRECT_SHARE))
    first = (len(calls) - count) // 2
    some = calls[first : first + count]
    async with run_mock(directory) as url:
        start_s = time.monotonic() + LEAD_S - some[0].at_s / scale
        return await replay(url, "no-key", some, scale, start_s, "mock alone")


async def run_policy(
    directory: Path, policy: str, calls: Sequence[Call], scale: int, lead_s: float
) -> Outcome:
    """One whole run: start, replay, ask both sides, stop. Raises DemoError."""
    began = time.monotonic()
    start_s = began + lead_s
    clock = SimulatedTime(scale, TRACE_START_S, Clock().now() + lead_s)
    async with run_gateway(directory, policy, clock) as gateway:
        late_s = time.monotonic() - start_s
        if late_s > 0:
            print(f"{policy}: the start took {late_s:.1f} s longer than allowed for; "
                  "times of the trace are late by as much", file=sys.stderr)  # fmt: skip
            start_s += late_s
        seen = await replay(gateway.url, gateway.api_key, calls, scale, start_s, policy)
        replay_s = time.monotonic() - start_s
        conservation = await gateway.admin("conservation")
        usage = {name: await gateway.admin("usage", group_by=name) for name in DIMENSIONS}
        bill = await gateway.bill()
    accounts = compare(usage["served_model"], bill, conservation)
    whole_s = time.monotonic() - began
    return Outcome(policy, seen, usage, bill, accounts, replay_s, whole_s)


async def run_demo(arguments: argparse.Namespace, directory: Path) -> list[str]:
    """Run everything, print and write the result; the problems found. Raises DemoError."""
    calls = load_calls(arguments.requests)
    scale = max(1, math.ceil(calls[-1].at_s / arguments.seconds))
    direct = await run_direct(directory / "direct", calls, scale)
    outcomes = [
        await run_policy(directory / policy, policy, calls, scale, arguments.start_seconds)
        for policy in POLICIES
    ]
    problems = [problem for outcome in outcomes for problem in outcome.problems()]
    added = [added_latency(outcome, direct) for outcome in outcomes]
    sections = build_sections(outcomes, added)
    print(table.render(sections, POLICIES))
    print(f"\nWhat is what\n{table.render_origins()}\n")
    page = render_page(outcomes, direct, sections, scale, problems)
    arguments.report.write_text(page, encoding="utf-8")
    print(f"{arguments.report.name}: the same with charts, in {arguments.report.absolute().parent}")
    return problems


def main(words: Sequence[str] | None = None) -> int:
    arguments = read_arguments(words)
    with tempfile.TemporaryDirectory(prefix="apex-demo-") as directory:
        try:
            problems = asyncio.run(run_demo(arguments, Path(directory)))
        except (DemoError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return exit_status(problems)


def exit_status(problems: Sequence[str]) -> int:
    """0 without problems; they are printed."""
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
