"""The gate: verdicts on both sides of every bound, and lines that name what is measured."""

import pytest

from bench.gateways.figures import Run, Spread
from bench.gateways.floors import FLOORS, Floor
from bench.gateways.scenarios import SCENARIOS
from tests.bench.gateways.samples import report, run


def at(value: float) -> Spread:
    return Spread(value, value, value)


def floor(low: float | None, high: float | None, *, is_lower_better: bool = False) -> Floor:
    return Floor("work", lambda _: None, low, high, is_lower_better=is_lower_better)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(1.49, "NOT REACHED"), (1.5, "reached"), (1.99, "reached"), (2.0, "moonshot")],
)
def test_more_is_better(value: float, verdict: str) -> None:
    assert floor(1.5, 2.0).verdict(at(value)) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.76, "NOT REACHED"), (0.75, "reached"), (0.51, "reached"), (0.5, "moonshot")],
)
def test_less_is_better(value: float, verdict: str) -> None:
    assert floor(0.75, 0.5, is_lower_better=True).verdict(at(value)) == verdict


def test_a_bound_that_is_not_set_is_not_kept() -> None:
    assert floor(None, 1.0).verdict(at(0.9)) == "below the moonshot"
    assert floor(None, 1.0).verdict(at(1.0)) == "moonshot"
    assert floor(0.5, None).verdict(at(9.0)) == "reached"
    assert floor(0.5, None).verdict(at(0.4)) == "NOT REACHED"


def test_without_a_figure_there_is_no_verdict() -> None:
    assert floor(1, 2).verdict(None) == "not measured"


def everything() -> dict[str, dict[str, list[Run]]]:
    """Every scenario with all that take part in it; the mock alone is the fastest."""
    fast = {"p50": 10.0, "p99": 20.0}
    return {
        scenario.name.replace("-", "_"): {
            name: [run(seen=100, lat=fast, ttft=fast) if name == "direct" else run(seen=100)]
            for name in scenario.contestants
        }
        for scenario in SCENARIOS
    }


def test_a_whole_run_fills_every_line() -> None:
    found = report(**everything())
    entry = found.entries["apex"]
    entry.idle_mib, entry.loaded_mib, entry.cold_starts_s = 50.0, 70.0, [0.5]
    empty = [each.work for each in FLOORS if each.measure(found) is None]
    assert not empty
    assert all(each.measure(report()) is None for each in FLOORS)


def test_moonshots_are_beyond_their_floors() -> None:
    for each in FLOORS:
        if each.floor is not None and each.moonshot is not None:
            assert (each.moonshot < each.floor) is each.is_lower_better, each.work
