"""Ratios, added times and shares: true to the medians, silent where something is missing."""

import pytest

from bench.gateways.figures import Spread
from bench.gateways.measures import added_ratio, of_entry, ratio, scaled, two_processes
from tests.bench.gateways.samples import report, run


def times(p50_us: float) -> dict[str, float]:
    return {"p50": p50_us, "p99": p50_us}


def test_a_ratio_is_of_medians_and_its_ends_are_those_of_rounds() -> None:
    found = report(
        miss_1k={"apex": [run(100), run(200), run(330)], "bare": [run(100), run(100), run(110)]}
    )
    assert ratio("miss-1k", "rps", "bare")(found) == Spread(2.0, 1.0, 3.0)


@pytest.mark.parametrize("names", [["apex"], ["bare"], []])
def test_a_ratio_without_both_sides_is_not_measured(names: list[str]) -> None:
    found = report(miss_1k={name: [run()] for name in names})
    assert ratio("miss-1k", "rps", "bare")(found) is None


def test_added_time_is_over_the_direct_way() -> None:
    found = report(
        calm_1k={
            "direct": [run(lat=times(200))],
            "apex": [run(lat=times(600))],
            "bare": [run(lat=times(1000))],
        }
    )
    assert added_ratio("calm-1k", "p50_us")(found) == Spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize("bare_us", [200, 150])
def test_no_ratio_to_what_added_nothing(bare_us: float) -> None:
    found = report(
        calm_1k={
            "direct": [run(lat=times(200))],
            "apex": [run(lat=times(600))],
            "bare": [run(lat=times(bare_us))],
        }
    )
    assert added_ratio("calm-1k", "p50_us")(found) is None


def test_added_time_needs_the_direct_way() -> None:
    found = report(calm_1k={"apex": [run()], "bare": [run()]})
    assert added_ratio("calm-1k", "p50_us")(found) is None


def test_a_share_of_the_ideal_and_the_time_over_it() -> None:
    found = report(slow={"apex": [run(5120 * 0.95, lat=times(52_500))]})
    share, over_ms = scaled("slow", "rps", 100 / 5120), scaled("slow", "p50_us", 1e-3, -50)
    for measure, expected in ((share, 95), (over_ms, 2.5)):
        spread = measure(found)
        assert spread is not None
        assert spread.median == pytest.approx(expected)
    assert share(report()) is None


def test_two_processes_are_measured_against_one() -> None:
    found = report(miss_1k={"apex": [run(100)]}, two_processes={"apex2": [run(170)]})
    assert two_processes(found) == Spread(1.7, 1.7, 1.7)


def test_memory_that_was_not_read_is_not_nothing() -> None:
    found = report(miss_1k={"apex": [run()]})
    assert of_entry("idle_mib")(found) is None
    assert of_entry("cold_starts_s")(found) is None
    found.entries["apex"].idle_mib = 50.0
    found.entries["apex"].cold_starts_s = [0.5, 0.4, 0.9]
    assert of_entry("idle_mib")(found) == Spread(50, 50, 50)
    assert of_entry("cold_starts_s")(found) == Spread(0.5, 0.4, 0.9)
    assert of_entry("idle_mib")(report()) is None
