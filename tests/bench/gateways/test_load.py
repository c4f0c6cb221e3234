"""What the load generator prints is read, and what it cannot do is said."""

import json

import pytest

from bench.gateways.load import read_answer
from bench.gateways.processes import BenchError
from tests.bench.gateways.samples import said


def test_a_line_is_read() -> None:
    assert read_answer(json.dumps(said()), "")["answered"] == 1250


def test_a_few_wrong_answers_are_counted_not_refused() -> None:
    assert read_answer(json.dumps(said(err=7)), "status 500")["err"] == 7


def test_no_right_answer_at_all_is_an_error_with_its_reason() -> None:
    with pytest.raises(BenchError, match="status 500 good=1: broken"):
        read_answer(json.dumps(said(ok=0)), "status 500\n good=1: broken\n")
    with pytest.raises(BenchError, match="did not answer"):
        read_answer(json.dumps(said(ok=0)), "")


def test_nonsense_is_an_error() -> None:
    with pytest.raises(BenchError, match="connect"):
        read_answer("connect: refused", "")
