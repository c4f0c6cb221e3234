"""What one run measured, and the statistics over its rounds. Pure; everything here reads it."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and most of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self | None:
        """None when nothing was measured."""
        found = list(values)
        if not found:
            return None
        return cls(statistics.median(found), min(found), max(found))


@dataclass(frozen=True, slots=True)
class Run:
    """One round of one scenario against one gateway, as lg.c and the kernel counted it."""

    rps: float
    p50_us: float
    p99_us: float
    first_token_us: float  # median; 0 without streams
    hop_us: float  # median delay of a stream's event; 0 without streams
    events_per_s: float
    cpu_us_per_request: float
    cpu_ms_per_1000_events: float  # 0 without streams
    bad: int  # answers with a wrong body
    errors: int  # answers with a wrong status, or none


def read_run(said: dict[str, Any], cpu_s: float) -> Run:
    """One line of lg.c, with the CPU that the gateway used meanwhile, its warm-up included."""
    return Run(
        rps=said["rps"],
        p50_us=said["lat"]["p50"],
        p99_us=said["lat"]["p99"],
        first_token_us=said["ttft"]["p50"],
        hop_us=said["hop"]["p50"],
        events_per_s=said["events_s"],
        cpu_us_per_request=cpu_s / said["answered"] * 1e6 if said["answered"] else 0.0,
        cpu_ms_per_1000_events=cpu_s / said["seen"] * 1e6 if said["seen"] else 0.0,
        bad=said["bad"],
        errors=said["err"],
    )


@dataclass(slots=True)
class Entry:
    """One gateway of the run; `trouble` says why it has no figures, or no more of them."""

    name: str
    title: str
    version: str = ""
    trouble: str = ""
    cold_starts_s: list[float] = field(default_factory=list)
    idle_mib: float = 0.0
    loaded_mib: float = 0.0
    troubles: dict[str, str] = field(default_factory=dict)  # by scenario


@dataclass(slots=True)
class Report:
    """A whole run of the benchmark."""

    command: str
    python: str
    machine: str
    rounds: int
    seconds: float
    entries: dict[str, Entry] = field(default_factory=dict)
    runs: dict[str, dict[str, list[Run]]] = field(default_factory=dict)  # scenario, gateway
    load_minutes: float = 0.0
    shipper_us_per_request: float = 0.0
    recorded: str = ""

    def runs_of(self, scenario: str, name: str) -> Sequence[Run]:
        return self.runs.get(scenario, {}).get(name, [])

    def add(self, scenario: str, name: str, run: Run) -> None:
        self.runs.setdefault(scenario, {}).setdefault(name, []).append(run)

    def spread(self, scenario: str, name: str, figure: str) -> Spread | None:
        """Over the rounds; `figure` names a field of Run."""
        return Spread.of(getattr(run, figure) for run in self.runs_of(scenario, name))

    def median(self, scenario: str, name: str, figure: str) -> float | None:
        spread = self.spread(scenario, name, figure)
        return None if spread is None else spread.median

    def save(self, path: Path) -> None:
        path.write_bytes(TypeAdapter(Report).dump_json(self, indent=1))


def load_report(path: Path) -> Report:
    """A report that `Report.save` wrote."""
    return TypeAdapter(Report).validate_json(path.read_bytes())
