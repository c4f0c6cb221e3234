"""What a run came to, from answers made up here: shares, times, and what counts as a problem."""

import math
from dataclasses import replace

import pytest

from bench.demo.__main__ import exit_status
from bench.demo.accounts import Accounts
from bench.demo.outcome import Outcome, added_latency, percentile
from bench.demo.replay import Seen
from bench.demo.workload import TRACE_START_S, Call

CALL = Call(0, 0.0, "chat", "gpt-4o", "s", b"{}", False, True, 5, 100.0)


def seen(number: int, cache: str = "miss", total_ms: float = 20.0, at_s: float = 0.0) -> Seen:
    call = replace(CALL, number=number, at_s=at_s)
    return Seen(call, 200, cache, "gpt-4o", "p", total_ms / 2, total_ms)


def outcome(*answers: Seen, differences: tuple[str, ...] = ()) -> Outcome:
    usage = {"served_model": {"rows": [], "totals": {"requests": len(answers)}}}
    accounts = Accounts({}, {}, list(differences))
    return Outcome("balanced", list(answers), usage, [], accounts, 1.0, 2.0)


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99)) == (50, 99)
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7
    assert math.isnan(percentile([], 50))


def test_added_latency_pairs_the_same_calls_and_leaves_out_reused_answers() -> None:
    direct = [seen(1, total_ms=10), seen(2, total_ms=10), seen(3, total_ms=10)]
    run = outcome(seen(1, total_ms=14), seen(2, "hit", 1), seen(3, total_ms=30), seen(4))
    added = added_latency(run, direct)
    assert (added.calls, added.p50_ms, added.p99_ms) == (2, 4, 20)
    assert (added.first_byte_p50_ms, added.first_byte_p99_ms) == (2, 10)


def test_minutes_count_requests_and_reused_answers() -> None:
    run = outcome(seen(1), seen(2, "hit", at_s=59), seen(3, "coalesced", at_s=130))
    assert run.minutes() == [(2, 1), (0, 0), (1, 1)]


def test_the_bill_grows_in_the_time_of_the_trace() -> None:
    lines = [
        {"at_us": (TRACE_START_S + 120) * 1_000_000, "cost_picousd": 5},
        {"at_us": (TRACE_START_S + 60) * 1_000_000, "cost_picousd": 2},
    ]
    assert replace(outcome(), bill=lines).bill_over_time() == [(0, 0), (1, 2), (2, 7)]


def test_a_run_without_fault_has_no_problem() -> None:
    assert outcome(seen(1), seen(2, "hit")).problems() == []


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (outcome(seen(1), differences=("gpt-4o: one token",)), "gpt-4o: one token"),
        (outcome(replace(seen(1), status=502)), "request 1 failed: 502"),
        (outcome(replace(seen(1), error="the stream ended")), "the stream ended"),
        (outcome(replace(seen(1), served_model="gpt-4o-mini")), "answered by gpt-4o-mini"),
        (replace(outcome(seen(1)), seen=[]), "0 requests sent, 1 recorded"),
    ],
)
def test_every_fault_fails_the_demo(
    run: Outcome, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = run.problems()
    assert len(problems) == 1
    assert exit_status(problems) == 1
    assert said in capsys.readouterr().err
