"""Which Python is taken for one built with PGO."""

import sys

import pytest

from bench.gateways.interpreter import Facts, Interpreter, ask
from bench.gateways.processes import BenchError


@pytest.mark.parametrize(
    ("arguments", "is_distributed", "is_pgo"),
    [
        ("'--enable-optimizations' '--with-lto'", False, True),
        ("'--prefix=/usr'", True, True),
        ("'--prefix=/elsewhere'", False, False),
    ],
)
def test_pgo_is_known_by_configure_or_by_who_built_it(
    arguments: str, is_distributed: bool, is_pgo: bool
) -> None:
    assert Facts("3.11.2", (3, 11), arguments, is_distributed).is_pgo is is_pgo


def test_an_interpreter_is_asked() -> None:
    assert ask(sys.executable).series == sys.version_info[:2]
    with pytest.raises(BenchError, match="does not run"):
        ask("/nowhere/python")


def test_a_build_without_pgo_is_shown_as_such() -> None:
    assert Interpreter("python", "3.11.7", is_pgo=False).shown == "CPython 3.11.7, WITHOUT PGO"
    assert Interpreter("python", "3.11.2", is_pgo=True).shown == "CPython 3.11.2, with PGO"
