"""The run itself: starts everybody, alternates them in every scenario, and stops them.

A B C, then C B A, so that a noisy neighbour hits all. Who fails is reported and the others go on.
"""

import time
from collections.abc import Iterable, Sequence

from bench.gateways.contestants import Contestant, Place
from bench.gateways.figures import Entry, Report, read_run
from bench.gateways.load import run_load
from bench.gateways.processes import BenchError, cpu_s, pss_mib
from bench.gateways.scenarios import SCENARIOS, Scenario, body_of
from bench.gateways.starting import Running, send, start

SETTLE_S = 20.0
SETTLE_STEP_S = 0.25
IDLE_SHARE = 0.05  # of a core: the shipper has caught up
IDLE_AFTER_S = 1.5
MOST_VARIANTS = 40


class Contest:
    """Holds who runs; everything measured goes into the report."""

    def __init__(self, place: Place, report: Report, starts: int) -> None:
        self._place = place
        self._report = report
        self._starts = starts
        self._running: dict[str, Running] = {}
        self._shipping_s = 0.0
        self._shipped = 0

    def start_all(self, contestants: Iterable[Contestant]) -> None:
        for contestant in contestants:
            entry = Entry(contestant.name, contestant.title, contestant.version, contestant.missing)
            self._report.entries[contestant.name] = entry
            if not entry.trouble:
                self._start(contestant, entry)
            say(f"{entry.title}: {entry.trouble or 'answers correctly'}")

    def _start(self, contestant: Contestant, entry: Entry) -> None:
        try:
            running, entry.cold_starts_s = start(contestant, self._place, self._starts)
        except (BenchError, OSError) as error:
            entry.trouble = one_line(error)
            return
        self._running[contestant.name] = running
        time.sleep(IDLE_AFTER_S)  # what a start leaves to be done
        entry.idle_mib = pss_mib(running.tree())

    def run_scenarios(self, scenarios: Sequence[Scenario] = SCENARIOS) -> None:
        for scenario in scenarios:
            for number in range(self._report.rounds):
                names = scenario.contestants[:: 1 if number % 2 == 0 else -1]
                for name in names:
                    if name in self._running:
                        self._run(scenario, self._running[name])
                say(f"{scenario.title}: round {number + 1} of {self._report.rounds}")

    def _run(self, scenario: Scenario, running: Running) -> None:
        """One round; who never gets an answer right in a scenario is spared its other rounds."""
        name = running.contestant.name
        entry = self._report.entries[name]
        if scenario.name in entry.troubles and not self._report.runs_of(scenario.name, name):
            return
        try:
            self._measure(scenario, running)
        except (BenchError, OSError) as error:
            entry.troubles[scenario.name] = one_line(error)
            say(f"  {entry.title}: {one_line(error)}")
            if not running.is_alive:
                self._drop(running, entry)

    def _measure(self, scenario: Scenario, running: Running) -> None:
        seconds = self._report.seconds * scenario.lengthened
        contestant, pids = running.contestant, running.tree()
        variant = prime(contestant, scenario) if scenario.is_repeated else 0
        shipping = control_cpu_s(running)
        before = cpu_s(pids)
        said = run_load(self._place.work, contestant, scenario, variant, seconds)
        run = read_run(said, cpu_s(pids) - before)
        if not running.is_alive:
            raise BenchError("it died under the load")
        self._report.add(scenario.name, contestant.name, run)
        if scenario.is_repeated:
            expect_hit(contestant, scenario, variant)
        self._report.entries[contestant.name].loaded_mib = pss_mib(running.tree())
        settle(running)
        self._shipping_s += control_cpu_s(running) - shipping
        self._shipped += said["answered"] if running.control else 0

    def _drop(self, running: Running, entry: Entry) -> None:
        entry.trouble = f"died: {running.last_words()}"[-300:]
        running.stop()
        del self._running[running.contestant.name]

    def keep_loading(self, name: str, scenario: Scenario, minutes: float) -> None:
        """Load one gateway for so long, then read its memory."""
        running = self._running.get(name)
        if running is None or not minutes:
            return
        say(f"{minutes:g} minutes of load on {running.contestant.title}")
        try:
            run_load(self._place.work, running.contestant, scenario, 0, minutes * 60)
        except BenchError as error:
            self._report.entries[name].troubles[scenario.title] = one_line(error)
            return
        self._report.entries[name].loaded_mib = pss_mib(running.tree())
        self._report.load_minutes = minutes

    def stop_all(self) -> None:
        for running in self._running.values():
            running.stop()
        self._running.clear()
        if self._shipped:
            self._report.shipper_us_per_request = self._shipping_s / self._shipped * 1e6


def prime(contestant: Contestant, scenario: Scenario) -> int:
    """Send the repeated body until it is answered as a hit; sessions of the holdout never are."""
    if contestant.home is None:
        return 0
    for variant in range(MOST_VARIANTS):
        for _ in range(2):
            body = body_of(scenario, contestant.model, variant)
            said = send(contestant, body, contestant.hit_headers)[1]
        if said == "hit":
            return variant
    raise BenchError(f"no body of {MOST_VARIANTS} was answered from the cache, the last: {said}")


def expect_hit(contestant: Contestant, scenario: Scenario, variant: int) -> None:
    if contestant.home is None:
        return
    body = body_of(scenario, contestant.model, variant)
    said = send(contestant, body, contestant.hit_headers)[1]
    if said != "hit":
        raise BenchError(f"after the hits the cache said {said}")


def control_cpu_s(running: Running) -> float:
    return cpu_s(running.control.tree()) if running.control else 0.0


def settle(running: Running) -> None:
    """Let the shipper catch up, so that the next one's load is not measured beside it."""
    deadline = time.monotonic() + SETTLE_S
    while running.control is not None and time.monotonic() < deadline:
        before = control_cpu_s(running)
        time.sleep(SETTLE_STEP_S)
        if control_cpu_s(running) - before < IDLE_SHARE * SETTLE_STEP_S:
            return


def one_line(error: BaseException, most_characters: int = 240) -> str:
    return " ".join(str(error).split())[:most_characters]


def say(text: str) -> None:
    print(f"  {text}", flush=True)
