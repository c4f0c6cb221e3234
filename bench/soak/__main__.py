"""`make soak`: half load for half an hour, the columnar store killed for the middle third of it.

Exit status 1 when a bound is broken; each is printed with what was found. The report and the plot
go to docs/soak.md and docs/soak.svg.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.demo.gateway import ROOT, DemoError
from bench.demo.progress import Progress
from bench.soak.gateway import SoakGateway, run_soak_gateway
from bench.soak.judge import AtRest, Run, Verdict, judge, percentile
from bench.soak.load import Client, Tally
from bench.soak.plot import render_plot
from bench.soak.report import render_report, render_table
from bench.soak.store import Store
from bench.soak.watch import Sample, Watch, count_fds

BURST_S, WARM_UP_S = 10.0, 3.0
BURST_WORKERS = 48
SAMPLES = 200
LEAST_INTERVAL_S = 1.0
REST_S = 120.0
LOOK_S = 0.5


def read_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, help="calls a second (default: half of saturation)")
    parser.add_argument("--untimed", action="store_true",
                        help="leave out the bounds that depend on the machine's speed")  # fmt: skip
    parser.add_argument("--to", type=Path, default=ROOT / "docs", help="where the report goes")
    arguments = parser.parse_args(words)
    if arguments.minutes <= 0 or (arguments.rate is not None and arguments.rate <= 0):
        parser.error("it takes some time and some calls")
    return arguments


class Soak:
    """One run: burst, rest, load with its samples and its outage, rest, accounts."""

    def __init__(self, running: SoakGateway, store: Store, seconds: float) -> None:
        self._running = running
        self._store = store
        self._seconds = seconds
        self._watch = Watch(running, store)
        self._client = Client(running.gateway.url, running.gateway.api_key)
        self._tally = Tally()
        self._samples: list[Sample] = []
        self._returned_s: float | None = None
        self._recovery_s: float | None = None

    async def run(self, rate: float | None) -> Callable[[int | None], Run]:
        """Everything but the gateway's end, whose exit status makes it a Run. Raises DemoError."""
        burst_s = WARM_UP_S if rate else BURST_S
        burst = await self._client.burst(burst_s, BURST_WORKERS)
        saturation = None if rate else burst.ended / burst_s
        rate = rate or burst.ended / burst_s / 2
        await self._come_to_rest()
        before = await self._at_rest()
        print(f"{rate:.0f} calls a second for {self._seconds:.0f} s", file=sys.stderr)
        self._tally = Tally()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._client.send_at_rate(rate, self._seconds, self._tally))
                tasks.create_task(self._lose_store())
                tasks.create_task(self._take_samples())
        except ExceptionGroup as errors:  # one cannot go on, which ended the others
            raise errors.exceptions[0] from errors
        last = await self._come_to_rest()
        after = await self._at_rest()
        status, conservation = await self._running.conservation()
        return lambda exit_status: Run(
            seconds=self._seconds, rate=rate, saturation=saturation, tally=self._tally,
            samples=self._samples, rest_before=before, rest_after=after, last=last,
            recovery_s=self._recovery_s, conservation_status=status, conservation=conservation,
            exit_status=exit_status,
        )  # fmt: skip

    async def _lose_store(self) -> None:
        """Killed after a third, back after two."""
        await self._sleep_until(self._seconds / 3)
        await self._store.kill()
        await self._sleep_until(self._seconds * 2 / 3)
        await self._store.start()
        self._returned_s = self._now()

    async def _take_samples(self) -> None:
        interval_s = max(LEAST_INTERVAL_S, self._seconds / SAMPLES)
        count = int(self._seconds / interval_s)
        progress = Progress("soak", count)
        for number in range(1, count + 1):
            await self._sleep_until(number * interval_s)
            sample = await self._watch.sample(self._now())
            self._samples.append(sample)
            self._note_recovery(sample)
            progress.advance(self._describe(sample, interval_s))
        progress.close()

    def _note_recovery(self, sample: Sample) -> None:
        """The backlog is stored when no more waits than one pass of the shipper leaves."""
        if self._returned_s is None or self._recovery_s is not None:
            return
        healthy = [each.backlog_bytes for each in self._samples if each.at_s < self._seconds / 3]
        if sample.backlog_bytes <= max(healthy, default=0) * 2:
            self._recovery_s = sample.at_s - self._returned_s

    def _describe(self, sample: Sample, interval_s: float) -> str:
        since = sample.at_s - interval_s
        tally = self._tally
        recent: list[float] = []
        for at, ms in zip(reversed(tally.timed_at), reversed(tally.timed_ms), strict=True):
            if at < since - 1:
                break
            recent.append(ms)
        waiting = f"{sample.backlog_bytes / 1e6:.1f} MB wait"
        return f"p99 {percentile(sorted(recent), 0.99):.0f} ms, {tally.wrong} wrong, {waiting}"

    async def _come_to_rest(self) -> Sample:
        """Until nothing is open and nothing waits, or for so long that it will not come."""
        until = time.monotonic() + REST_S
        while True:
            sample = await self._watch.sample(self._now())
            waiting = sample.backlog_bytes + sample.spool_files
            is_at_rest = sample.open_requests == 0 == waiting
            if is_at_rest and self._returned_s is not None and self._recovery_s is None:
                self._recovery_s = sample.at_s - self._returned_s
            if is_at_rest or time.monotonic() > until:
                return sample
            await asyncio.sleep(LOOK_S)

    async def _at_rest(self) -> dict[str, AtRest]:
        port = int(self._running.gateway.mock_url.rpartition(":")[2])
        sample = await self._watch.sample(self._now())
        found = {}
        for name, process in sample.processes.items():
            if name != "mock":
                own, pooled = await asyncio.to_thread(count_fds, process.pid, port)
                found[name] = AtRest(own, pooled, process.threads)
        return found

    def _now(self) -> float:
        return time.monotonic() - self._tally.began

    async def _sleep_until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self._now()))


async def run_soak(arguments: argparse.Namespace, directory: Path) -> Run:
    """A whole run in `directory`. Raises DemoError."""
    store = Store(directory / "store")
    try:
        await store.start()
        async with run_soak_gateway(directory / "gateway", store.url) as running:
            finish = await Soak(running, store, arguments.minutes * 60).run(arguments.rate)
    finally:
        await store.close()
    return finish(running.process.returncode)


def judged(run: Run, *, is_untimed: bool) -> list[Verdict]:
    """The bounds that count for this run."""
    return [each for each in judge(run) if not (is_untimed and each.is_timed)]


def conclude(run: Run, arguments: argparse.Namespace) -> int:
    """Print and write everything; the exit status."""
    verdicts = judged(run, is_untimed=arguments.untimed)
    print(render_table(verdicts))
    print(f"\n{run.conservation}\n")
    arguments.to.mkdir(parents=True, exist_ok=True)
    (arguments.to / "soak.svg").write_text(render_plot(run), encoding="utf-8")
    (arguments.to / "soak.md").write_text(render_report(run, verdicts), encoding="utf-8")
    print(f"soak.md and soak.svg are in {arguments.to}")
    broken = [each for each in verdicts if not each.is_kept]
    for each in broken:
        print(f"error: {each.what}: {each.bound} is the bound, found {each.found}", file=sys.stderr)
    for example in run.tally.examples:
        print(f"error: {example}", file=sys.stderr)
    return 1 if broken else 0


def main(words: Sequence[str] | None = None) -> int:
    arguments = read_arguments(words)
    gc.set_threshold(50_000, 50, 100)  # the client's own pauses are no latency of the gateway
    with tempfile.TemporaryDirectory(prefix="apex-soak-") as directory:
        try:
            run = asyncio.run(run_soak(arguments, Path(directory)))
        except (DemoError, OSError, TimeoutError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        return conclude(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
