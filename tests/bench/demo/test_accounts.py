"""Ours against the bill: equal only where every token and every pico-USD is."""

from typing import Any

import pytest

from bench.demo.accounts import BUCKETS, COST, compare, picousd_of

EXACT: dict[str, Any] = {"is_exact": True, "rows": ["exact"]}


def usage(**changes: Any) -> dict[str, Any]:
    row = dict.fromkeys(BUCKETS, 0) | {
        "served_model": "gpt-4o", "input_tokens": 30, "output_tokens": 5,
        "cost_usd": "0.000125000001", "partial_amounts": [],
    }  # fmt: skip
    return {"rows": [row | changes]}


def bill(**changes: Any) -> list[dict[str, Any]]:
    first = dict.fromkeys(BUCKETS, 0) | {
        "model": "gpt-4o", "input_tokens": 10, "output_tokens": 5, COST: 25_000_001,
    }  # fmt: skip
    second = first | {"input_tokens": 20, "output_tokens": 0, COST: 100_000_000}
    return [first, second | changes]


def test_equal_sums_are_exact() -> None:
    accounts = compare(usage(), bill(), EXACT)
    assert accounts.is_exact
    assert accounts.total("ours", COST) == accounts.total("billed", COST) == 125_000_001


@pytest.mark.parametrize("name", [*BUCKETS, COST])
def test_one_token_or_pico_usd_is_a_difference(name: str) -> None:
    wrong = bill()
    wrong[1][name] += 1
    accounts = compare(usage(), wrong, EXACT)
    assert len(accounts.differences) == 1
    assert accounts.differences[0].startswith(f"gpt-4o: {name} ")


def test_a_model_only_one_side_knows_is_a_difference() -> None:
    assert not compare(usage(), bill(model="gpt-4o-mini"), EXACT).is_exact


def test_what_is_unknown_equals_nothing() -> None:
    unknown = bill(**{COST: None})
    assert not compare(usage(), unknown, EXACT).is_exact
    partly = usage(partial_amounts=["cost_usd"])
    assert "unknown here, unknown billed" in compare(partly, unknown, EXACT).differences[0]
    with pytest.raises(TypeError, match="unknown"):
        compare(partly, unknown, EXACT).total("ours", COST)


def test_a_log_that_does_not_add_up_is_a_difference() -> None:
    accounts = compare(usage(), bill(), {"is_exact": False, "rows": ["1 missing"]})
    assert accounts.differences == ["conservation: 1 missing"]


def test_dollars_become_whole_pico_usd() -> None:
    assert picousd_of("7.244408000001") == 7_244_408_000_001
    assert picousd_of("0") == 0
