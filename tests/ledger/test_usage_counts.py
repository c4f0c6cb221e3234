"""Counts are checked, unknown ones noted, shares never exceed their total."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.usage_counts import checked_count, read_counts, share_out

KNOWN = frozenset({"a", "b"})


def test_known_counts_are_read_and_others_noted() -> None:
    open_keys: list[str] = []
    block = {"a": 1, "b": None, "c": 2, "d": {"e": 3, "f": 0}, "g": "text", "h": 4}

    assert read_counts(block, "x.", KNOWN, open_keys, frozenset({"h"})) == {"a": 1}
    assert open_keys == ["x.c", "x.d.e"]


@pytest.mark.parametrize("block", [None, [], "x", 3])
def test_what_is_no_object_is_refused(block: Any) -> None:
    with pytest.raises(ValueError, match="not an object"):
        read_counts(block, "x.", KNOWN, [])


@pytest.mark.parametrize("value", [True, -1, 1.5, "3", 10**9 + 1, None])
def test_what_is_no_count_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="x is not a token count"):
        checked_count(value, "x")


@given(st.integers(0, 100), st.dictionaries(st.text(max_size=3), st.integers(0, 100), max_size=5))
def test_shares_sum_to_the_total(total: int, wanted: dict[str, int]) -> None:
    wanted.pop("rest", None)
    open_keys: list[str] = []
    shares = share_out(total, wanted, "rest", open_keys)

    assert sum(shares.values()) == total
    assert all(0 <= shares[name] <= tokens for name, tokens in wanted.items())
    assert bool(open_keys) == (sum(wanted.values()) > total)
