"""What follows a failure: rows 11-13 of the fault table, points 2-4 of the wire list."""

import math
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import Outcome
from proxy.retry import (
    LONGEST_WAIT_S,
    MOST_ATTEMPTS,
    MOST_RETRY_AFTER_S,
    MOST_TRIES_HERE,
    Failure,
    RetryBudget,
    Standing,
    failure_of_fault,
    failure_of_status,
    next_step,
    read_retry_after,
    timed_out,
    unusable,
)
from proxy.upstream_client import BrokenFault, TimeoutFault, UnreachableFault

NOW = 1_700_000_000.0
BROKEN = unusable("x")


def standing(**changes: object) -> Standing:
    parts = {
        "attempts": 1,
        "tries_here": 1,
        "has_other_target": False,
        "remaining_s": 100.0,
        "has_retry_budget": True,
    }
    return Standing(**parts | changes)  # type: ignore[arg-type]


def failed(status: int, **headers: str) -> Failure:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failure_of_status(status, named, b"", NOW)


# --- reading an answer


@pytest.mark.parametrize(
    ("status", "cure", "is_sick"),
    [
        *[(status, "none", False) for status in (400, 402, 405, 409, 413, 415, 422, 451)],
        *[(status, "anywhere", True) for status in (408, 425, 500, 502, 503, 504, 520, 529, 599)],
        *[(status, "elsewhere", True) for status in (401, 403)],
        *[(status, "elsewhere", True) for status in (301, 302, 304, 307, 308)],
        (404, "elsewhere", False),
        (429, "anywhere", False),
    ],
)
def test_what_a_status_means(status: int, cure: str, is_sick: bool) -> None:
    failure = failed(status)
    assert (failure.cure, failure.is_upstream_sick) == (cure, is_sick)


def test_a_callers_own_mistake_keeps_status_body_and_headers() -> None:
    failure = failure_of_status(400, {"Content-Type": "application/json"}, b"{}", NOW)
    assert failure.outcome is Outcome.upstream_rejected
    assert (failure.status, failure.body, failure.content_type) == (400, b"{}", "application/json")


def test_refused_credentials_are_ours_and_their_text_stays_here() -> None:
    """A provider quotes part of the key it refuses."""
    failure = failure_of_status(401, {"x": "y"}, b'{"error":{"message":"sk-proj-1"}}', NOW)
    assert failure.code == "upstream_credentials_rejected"
    assert (failure.body, dict(failure.headers)) == (b"", {})


@pytest.mark.parametrize(
    ("fault", "outcome", "cure"),
    [
        (TimeoutFault("t", may_have_run=True), Outcome.upstream_timeout, "elsewhere"),
        (UnreachableFault("u", may_have_run=False), Outcome.upstream_unreachable, "anywhere"),
        (BrokenFault("b", may_have_run=True), Outcome.upstream_error, "anywhere"),
    ],
)
def test_faults_without_an_answer(fault: Exception, outcome: Outcome, cure: str) -> None:
    failure = failure_of_fault(fault)  # type: ignore[arg-type]
    assert (failure.outcome, failure.cure, failure.status) == (outcome, cure, 0)


# --- Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, MOST_RETRY_AFTER_S),
        ({"retry-after": "-inf"}, 0),
        ({"retry-after": "1e999"}, MOST_RETRY_AFTER_S),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "60000"}, 60),
        ({"retry-after-ms": "1e12"}, MOST_RETRY_AFTER_S),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9),
        ({"retry-after-ms": "nan", "retry-after": "9"}, 9),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True)}, 30),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW - 30, UTC), usegmt=True)}, 0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30),
        ({"retry-after": "Tue, 14 Nov 9999 22:13:50 GMT"}, MOST_RETRY_AFTER_S),
        ({"retry-after": "Tue, 99 Nov 2023 22:13:50 GMT"}, None),
    ],
)
def test_retry_after_in_every_spelling(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, NOW) == seconds


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms"]),
        st.text(max_size=30)
        | st.floats().map(str)
        | st.integers().map(str)
        | st.from_regex(
            r"\w{3}, \d{1,4} \w{3} \d{1,6} \d\d:\d\d:\d\d [+-]?\w{1,5}", fullmatch=True
        ),
    )
)
def test_no_retry_after_breaks_or_escapes_its_bounds(headers: dict[str, str]) -> None:
    seconds = read_retry_after(headers, NOW)
    assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= MOST_RETRY_AFTER_S)


# --- the next step


def test_a_callers_mistake_ends_the_request_even_with_others_to_try() -> None:
    assert next_step(failed(400), standing(has_other_target=True), 0.5).action == "give_up"


def test_one_quick_retry_then_the_next_upstream() -> None:
    first = next_step(BROKEN, standing(has_other_target=True), 0.5)
    assert first.action == "retry"
    assert first.wait_s == pytest.approx(0.2)
    second = next_step(BROKEN, standing(has_other_target=True, tries_here=2, attempts=2), 0.5)
    assert second.action == "move_on"


@pytest.mark.parametrize(
    "failure", [timed_out("t"), failed(404), failed(401), failed(429, retry_after="1")]
)
def test_what_only_another_upstream_cures_moves_on_at_once(failure: Failure) -> None:
    assert next_step(failure, standing(has_other_target=True), 0.5).action == "move_on"


@pytest.mark.parametrize("failure", [timed_out("t"), failed(404), failed(403)])
def test_what_only_another_upstream_cures_ends_without_one(failure: Failure) -> None:
    assert next_step(failure, standing(), 0.5).action == "give_up"


def test_the_only_upstream_is_tried_a_few_times_ever_more_patiently() -> None:
    waits = [
        next_step(BROKEN, standing(tries_here=n, attempts=n), 0.5)
        for n in range(1, MOST_TRIES_HERE)
    ]
    assert [step.wait_s for step in waits] == [pytest.approx(0.2), pytest.approx(0.4)]
    last = next_step(BROKEN, standing(tries_here=MOST_TRIES_HERE, attempts=3), 0.5)
    assert last.action == "give_up"


@pytest.mark.parametrize(
    ("retry_after", "remaining_s", "action"),
    [("2", 100, "retry"), ("2", 2, "give_up"), ("2", 1, "give_up"), ("11", 100, "give_up")],
)
def test_retry_after_is_honoured_or_passed_on(
    retry_after: str, remaining_s: float, action: str
) -> None:
    step = next_step(failed(429, retry_after=retry_after), standing(remaining_s=remaining_s), 0.0)
    assert step.action == action
    assert action == "give_up" or step.wait_s == 2


def test_without_retry_budget_nothing_is_tried_twice() -> None:
    assert next_step(BROKEN, standing(has_retry_budget=False), 0.5).action == "give_up"
    elsewhere = standing(has_retry_budget=False, has_other_target=True)
    assert next_step(BROKEN, elsewhere, 0.5).action == "move_on"


@given(
    st.sampled_from(
        [BROKEN, timed_out("t"), failed(429, retry_after="5"), failed(400), failed(500)]
    ),
    st.builds(
        Standing,
        attempts=st.integers(1, 9),
        tries_here=st.integers(1, 9),
        has_other_target=st.booleans(),
        remaining_s=st.floats(-10, 1000),
        has_retry_budget=st.booleans(),
    ),
    st.floats(0, 1, exclude_max=True),
)
def test_no_step_breaks_the_bounds(failure: Failure, where: Standing, jitter: float) -> None:
    step = next_step(failure, where, jitter)
    if where.attempts >= MOST_ATTEMPTS or failure.cure == "none":
        assert step.action == "give_up"
    if step.action == "retry":
        assert 0 < step.wait_s <= LONGEST_WAIT_S
        assert step.wait_s < where.remaining_s
        assert where.has_retry_budget
        assert failure.cure == "anywhere"
        assert where.tries_here < MOST_TRIES_HERE
    if step.action == "move_on":
        assert where.has_other_target


def test_the_budget_bounds_retries_to_a_tenth_of_requests() -> None:
    budget = RetryBudget()
    spent = 0
    for _ in range(1000):
        budget.earn()
        while not budget.is_empty:
            budget.spend()
            spent += 1
    assert 100 <= spent <= 100 + RetryBudget.RESERVE


def test_the_budget_does_not_save_up_without_end() -> None:
    budget = RetryBudget()
    for _ in range(100_000):
        budget.earn()
    spent = 0
    while not budget.is_empty:
        budget.spend()
        spent += 1
    assert spent <= RetryBudget.RESERVE * 5
