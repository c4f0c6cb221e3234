"""`make demo` in small: real processes, the trace's lookups, both policies, the page."""

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bench.demo.__main__ import POLICIES, run_direct, run_policy
from bench.demo.accounts import BUCKETS, COST
from bench.demo.gateway import DemoError, SimulatedTime, run_gateway
from bench.demo.lines import build_sections
from bench.demo.outcome import Outcome, added_latency
from bench.demo.page import render_page
from bench.demo.table import render
from bench.demo.workload import LOOKUP, TRACE_START_S, Call, load_calls

REQUESTS = 60
SCALE = 1000


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """Lookups of the questions asked most, in the order of their arrival."""
    lookups = [call for call in load_calls() if call.app == LOOKUP]
    asked = Counter(map(question_of, lookups))
    some = [call for call in lookups if asked[question_of(call)] > 4][:REQUESTS]
    assert len({question_of(call) for call in some}) < REQUESTS - 10
    return [replace(call, at_s=call.at_s - some[0].at_s) for call in some]


def question_of(call: Call) -> str:
    return str(json.loads(call.body)["messages"])


def check_against_bill(outcome: Outcome) -> None:
    """Added up here again, from the bill's lines and from another dimension of ours."""
    rows = outcome.usage["arm"]["rows"]
    billed = sum(line[COST] for line in outcome.bill)
    assert sum(Decimal(row["cost_usd"]) for row in rows) * 10**12 == billed > 0
    for name in BUCKETS:
        assert sum(row[name] for row in rows) == sum(line[name] for line in outcome.bill)
    assert outcome.accounts.total("billed", COST) == billed
    assert all(row["day"].startswith("2023-11-1") for row in outcome.usage["day"]["rows"])
    since_us = TRACE_START_S * 1_000_000
    day_us = 86_400_000_000  # a start under load is late, by a thousand times as much here
    assert all(since_us <= line["at_us"] < since_us + day_us for line in outcome.bill)


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


async def test_a_gateway_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    time = SimulatedTime(SCALE, TRACE_START_S, TRACE_START_S)
    with pytest.raises(DemoError, match="ended before it was up") as error:
        async with run_gateway(tmp_path / "one", "no-such-policy", time):
            pass
    assert "no-such-policy" in str(error.value), "it shows what the gateway said"
