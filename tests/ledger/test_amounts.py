"""Amounts as text: exact, plain, signed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.amounts import PICO, SPLIT, sum_columns, summed, usd_text


@pytest.mark.parametrize(
    ("picousd", "text"),
    [
        (0, "0"), (1, "0.000000000001"), (PICO, "1"), (1_500_000_000_000, "1.5"),
        (100 * PICO, "100"), (-450_000_000, "-0.00045"), (2**63 - 1, "9223372.036854775807"),
    ],
)  # fmt: skip
def test_dollars(picousd: int, text: str) -> None:
    assert usd_text(picousd) == text


@given(st.integers(-(10**27), 10**27))
def test_nothing_is_lost(picousd: int) -> None:
    text = usd_text(picousd)
    assert Decimal(text).scaleb(12) == picousd
    assert "E" not in text


def test_sums_are_put_together_from_their_halves() -> None:
    assert summed({"cost_high": 7, "cost_low": 5}, "cost") == 7 * SPLIT + 5
    assert summed({"cost_high": None, "cost_low": None}, "cost") == 0
    assert "AS cost_high" in sum_columns("x", "cost")
