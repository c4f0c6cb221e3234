"""Medians with their ends, the reading of the load generator, and keeping a report."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gateways.figures import Spread, load_report
from tests.bench.gateways.samples import report, run


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=9))
def test_a_median_lies_between_its_ends(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread is not None
    assert spread.low == min(values) <= spread.median <= max(values) == spread.high


def test_nothing_has_no_median() -> None:
    assert Spread.of([]) is None
    assert report().spread("miss-1k", "apex", "rps") is None


def test_cpu_counts_against_all_answers_the_warm_up_included() -> None:
    found = run(cpu_s=2.5, answered=10_000)
    assert found.cpu_us_per_request == pytest.approx(250)
    assert found.cpu_ms_per_1000_events == 0
    assert run(cpu_s=2.5, answered=0).cpu_us_per_request == 0


def test_cpu_of_streams_counts_against_their_events() -> None:
    assert run(cpu_s=0.6, seen=20_000).cpu_ms_per_1000_events == pytest.approx(30)


def test_wrong_answers_are_kept_apart() -> None:
    found = run(bad=2, err=3)
    assert (found.bad, found.errors) == (2, 3)
    assert (found.p50_us, found.p99_us, found.first_token_us, found.hop_us) == (250, 900, 80, 20)


def test_a_report_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    made = report(miss_1k={"apex": [run(1), run(2)], "bare": [run(3)]})
    made.entries["apex"].troubles["streams"] = "it died"
    made.save(tmp_path / "kept.json")
    assert load_report(tmp_path / "kept.json") == made
