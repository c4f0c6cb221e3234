"""`make demo` in small: real processes, the trace's lookups, both policies, the page."""

import argparse
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bench.demo.__main__ import POLICIES, run_demo, run_direct, run_policy
from bench.demo.accounts import BUCKETS, COST
from bench.demo.lines import build_sections
from bench.demo.outcome import Outcome, added_latency
from bench.demo.page import render_page
from bench.demo.table import render
from bench.demo.workload import LOOKUP, TRACE_START_S, Call, load_calls

REQUESTS = 60
SCALE = 100


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """Lookups of the middle of the hour: some of them come twice, and two twice at once."""
    some = [call for call in load_calls() if call.app == LOOKUP][900 : 900 + REQUESTS]
    return [replace(call, at_s=call.at_s - some[0].at_s) for call in some]


def check_against_bill(outcome: Outcome) -> None:
    """Added up here again, from the bill's lines and from another dimension of ours."""
    rows = outcome.usage["arm"]["rows"]
    billed = sum(line[COST] for line in outcome.bill)
    assert sum(Decimal(row["cost_usd"]) for row in rows) * 10**12 == billed > 0
    for name in BUCKETS:
        assert sum(row[name] for row in rows) == sum(line[name] for line in outcome.bill)
    assert outcome.accounts.total("billed", COST) == billed
    since_us = TRACE_START_S * 1_000_000
    hour_us = 3_600_000_000
    assert all(since_us <= line["at_us"] < since_us + hour_us for line in outcome.bill)


async def test_ours_is_the_bill_and_only_reuse_saves(tmp_path: Path, calls: list[Call]) -> None:
    direct = await run_direct(tmp_path / "direct", calls, SCALE)
    passthrough, balanced = [
        await run_policy(tmp_path / policy, policy, calls, SCALE, 5.0) for policy in POLICIES
    ]
    for outcome in (passthrough, balanced):
        assert outcome.problems() == []
        check_against_bill(outcome)
        assert not outcome.substituted
        assert {seen.policy.partition("@")[0] for seen in outcome.seen} == {outcome.policy}
    assert passthrough.outcomes() == {"bypass": REQUESTS}
    assert len(passthrough.bill) == REQUESTS
    counts = balanced.outcomes()
    reused = counts["hit"] + counts["coalesced"]
    assert reused > 0
    assert len(balanced.bill) == REQUESTS - reused
    assert balanced.totals["cache_hits"] + balanced.totals["coalesced"] == reused
    # What was not reused is what sessions held out and first askers were sent for.
    assert balanced.accounts.total("billed", COST) < passthrough.accounts.total("billed", COST)
    outcomes = [passthrough, balanced]
    sections = build_sections(outcomes, [added_latency(each, direct) for each in outcomes])
    check_report(outcomes, sections=render(sections, POLICIES))
    page = render_page(outcomes, direct, sections, SCALE, [])
    assert page.count("<svg") == 6
    assert "http" not in page, "the page takes nothing from elsewhere"
    assert f"{balanced.accounts.total('billed', COST):,} pico-USD" in page


def check_report(outcomes: list[Outcome], sections: str) -> None:
    lines = {line[:40].strip(): line for line in sections.splitlines()}
    row = next(line for title, line in lines.items() if title.startswith("pico-USD, billed"))
    assert row.split()[-2:] == [f"{each.accounts.total('billed', COST):,}" for each in outcomes]
    exact = next(line for title, line in lines.items() if title.startswith("ours = the bill"))
    assert exact.split()[-2:] == ["exactly", "exactly"]


async def test_an_impossible_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passthrough").mkdir()  # what a start needs to make is there already
    arguments = argparse.Namespace(
        requests=20, seconds=1.0, start_seconds=0.1, report=tmp_path / "report.html"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileExistsError):
        await run_demo(arguments, tmp_path)
    assert not arguments.report.exists()
