"""The circuit in front of a server: when it opens, and how it closes again."""

from storage.circuit import FAILURES_TO_OPEN, FIRST_PAUSE_S, LONGEST_PAUSE_S, Circuit


def closed() -> Circuit:
    circuit = Circuit()
    circuit.succeed()
    return circuit


def test_nobody_is_let_through_before_the_first_probe_was_answered() -> None:
    circuit = Circuit()
    assert circuit.is_open
    assert circuit.is_probe_due(0.0)


def test_it_opens_after_three_failures_in_a_row() -> None:
    circuit = closed()
    for _ in range(FAILURES_TO_OPEN - 1):
        circuit.fail(1.0)
    circuit.succeed()
    states = []
    for _ in range(FAILURES_TO_OPEN):
        circuit.fail(1.0)
        states.append(circuit.is_open)
    assert states == [False] * (FAILURES_TO_OPEN - 1) + [True]
    assert FAILURES_TO_OPEN <= 3


def test_a_probe_is_due_after_a_pause_that_grows_to_its_bound() -> None:
    circuit, now = closed(), 10.0
    for _ in range(FAILURES_TO_OPEN):
        circuit.fail(now)
    assert not circuit.is_probe_due(now)
    pauses = []
    for _ in range(8):
        pauses.append(circuit.probe_at - now)
        now = circuit.probe_at
        assert circuit.is_probe_due(now)
        circuit.fail_probe(now)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_S, LONGEST_PAUSE_S)


def test_late_news_of_before_it_opened_change_nothing() -> None:
    circuit = closed()
    for _ in range(FAILURES_TO_OPEN):
        circuit.fail(1.0)
    due = circuit.probe_at
    circuit.fail(5.0)
    assert (circuit.probe_at, circuit.failures) == (due, FAILURES_TO_OPEN)
