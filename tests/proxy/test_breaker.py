"""The circuit breaker: row 12 of the fault table."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.breaker import FAILURES_TO_OPEN, FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker, Breakers


def opened(now: float = 100.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        assert breaker.allows(now)
        breaker.fail(now)
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.fail(0)
    breaker.succeed()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.fail(0)
    assert breaker.allows(0)
    breaker.fail(0)
    assert not breaker.allows(0)
    assert breaker.is_open


def test_after_the_pause_one_probe_goes_out() -> None:
    breaker = opened(100)
    assert not breaker.allows(100 + FIRST_PAUSE_S - 0.01)
    assert breaker.allows(100 + FIRST_PAUSE_S)
    assert not breaker.allows(100 + FIRST_PAUSE_S)
    assert not breaker.allows(1e9)


def test_a_good_probe_closes_it() -> None:
    breaker = opened(100)
    assert breaker.allows(200)
    breaker.succeed()
    assert not breaker.is_open
    assert breaker.allows(200)
    assert breaker.allows(200)


def test_each_bad_probe_doubles_the_pause_up_to_a_bound() -> None:
    breaker, now, pauses = opened(0), 0.0, []
    for _ in range(6):
        now = breaker.open_until
        assert breaker.allows(now)
        breaker.fail(now)
        pauses.append(breaker.open_until - now)
    assert pauses == [10, 20, 40, 60, 60, 60]
    breaker.succeed()
    for _ in range(FAILURES_TO_OPEN):
        breaker.fail(now)
    assert breaker.open_until - now == FIRST_PAUSE_S


def test_a_probe_whose_caller_left_is_given_back() -> None:
    breaker = opened(100)
    assert breaker.allows(200)
    breaker.abandon()
    assert breaker.is_open
    assert breaker.allows(200)


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "leave"]), st.floats(0, 30)), max_size=60))
def test_an_upstream_is_never_shut_out_for_good(steps: list[tuple[str, float]]) -> None:
    """Whatever happens to calls, a later one is allowed once those in flight have ended."""
    breaker, now = Breaker(), 0.0
    for what, passed in steps:
        now += passed
        if not breaker.allows(now):
            continue
        if what == "ok":
            breaker.succeed()
        elif what == "fail":
            breaker.fail(now)
        else:
            breaker.abandon()
        assert breaker.open_until - now <= LONGEST_PAUSE_S
    assert breaker.allows(now + LONGEST_PAUSE_S)


def test_breakers_are_kept_by_name_and_name_the_shortest_wait() -> None:
    breakers = Breakers()
    assert breakers.of("a") is breakers.of("a")
    for name, count in (("a", FAILURES_TO_OPEN), ("b", FAILURES_TO_OPEN)):
        for _ in range(count):
            breakers.of(name).fail(100.0 if name == "a" else 102.0)
    assert breakers.retry_after_s(["a", "b"], 101.0) == 4.0
    assert breakers.retry_after_s(["b"], 101.0) == 6.0
    assert breakers.retry_after_s(["a"], 1e9) == 1.0
    assert breakers.retry_after_s([], 0.0) == 1.0
