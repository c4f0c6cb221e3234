"""Reports made by hand for the tests of the benchmark's pure parts."""

from typing import Any

from bench.gateways.figures import Entry, Report, Run, read_run


def said(**changes: Any) -> dict[str, Any]:
    """One line of the load generator, as bench/c/lg.c prints it."""
    times = {"n": 10, "mean": 1.0, "p50": 250.0, "p90": 300.0, "p99": 900.0, "max": 999.0}
    return {
        "ok": 1000, "bad": 0, "err": 0, "reconn": 0, "rps": 500.0, "events_s": 0.0, "events": 0,
        "maxq": 0, "answered": 1250, "seen": 0, "lat": times, "ttft": times | {"p50": 80.0},
        "hop": times | {"p50": 20.0}, **changes,
    }  # fmt: skip


def run(rps: float = 500.0, cpu_s: float = 1.0, **changes: Any) -> Run:
    return read_run(said(rps=rps, **changes), cpu_s)


def report(**runs: dict[str, list[Run]]) -> Report:
    """By scenario (with `_` for `-`), then by gateway."""
    made = Report("make bench", "CPython 3.11.2, with PGO", "a processor, 2 cores", 3, 2.0)
    made.runs = {scenario.replace("_", "-"): found for scenario, found in runs.items()}
    names = {name for found in runs.values() for name in found}
    made.entries = {name: Entry(name, name.title()) for name in sorted(names)}
    return made
