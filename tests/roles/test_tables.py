"""Usage and requests as terminal text."""

from typing import Any

import pytest

from roles.tables import INPUT_BUCKETS, OUTPUT_BUCKETS, align, format_request, format_usage


def usage_row(**changes: Any) -> dict[str, Any]:
    counts = ("requests", "errors", "cache_hits", "coalesced", "cache_served_tokens")
    more = ("unpriced_requests", "unknown_attempts", "estimated_attempts")
    row: dict[str, Any] = dict.fromkeys((*counts, *more, *INPUT_BUCKETS, *OUTPUT_BUCKETS), 0)
    amounts: dict[str, Any] = {"cost_usd": "0", "gross_baseline_usd": "0", "gross_saving_usd": "0"}
    amounts["estimated_usd"] = None
    return row | amounts | {"partial_amounts": []} | changes


def test_figures_are_aligned_and_separated_and_totalled() -> None:
    small = usage_row(model="gpt-4o", requests=5, input_tokens=10, cost_usd="0.000027")
    large = usage_row(
        model="a-much-longer-name",
        requests=1_234_567,
        cache_hits=1_000,
        coalesced=1,
        cache_read_tokens=2_000_000,
        reasoning_tokens=7,
        cost_usd="12345.6",
    )
    totals = usage_row(requests=1_234_572, cost_usd="12345.600027")
    lines = format_usage("model", {"rows": [large, small], "totals": totals})
    assert lines[0].split()[:3] == ["model", "requests", "hits"]
    assert "1,234,567" in lines[2]
    assert "1,001" in lines[2]
    assert "2,000,000" in lines[2]
    assert "12,345.600000" in lines[2]
    assert lines[-1].startswith("total")
    assert len({len(lines[place]) for place in (0, 2, 3, 5)}) == 1
    assert set(lines[1]) == set(lines[4]) == {"-"}


def test_rare_columns_are_shown_only_where_they_say_something() -> None:
    row = usage_row(model="m", requests=1)
    assert "errors" not in format_usage("model", {"rows": [row], "totals": row})[0]
    failed = usage_row(model="m", requests=1, errors=1, unpriced_requests=1, unknown_attempts=2)
    title = format_usage("model", {"rows": [failed], "totals": failed})[0]
    for name in ("errors", "unpriced", "unknown"):
        assert name in title


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", "0.000000"),
        ("0.0000001", "<0.000001"),
        ("-0.0000001", ">-0.000001"),
        (None, "unknown"),
    ],
)
def test_an_amount_too_small_to_show_is_not_shown_as_nothing(text: str | None, shown: str) -> None:
    row = usage_row(model="m", requests=1, cost_usd=text)
    assert shown in format_usage("model", {"rows": [row], "totals": row})[2]


def test_no_rows_and_no_name() -> None:
    assert format_usage("tag", {"rows": [], "totals": {}}) == ["no usage in this period"]
    row = usage_row(tag="", requests=1)
    assert format_usage("tag", {"rows": [row], "totals": row})[2].startswith("(none)")


def test_align_puts_names_left_and_figures_right() -> None:
    assert align([["a", "b"], ["name", "12"]]) == ["a      b", "name  12"]


def test_a_request_shows_what_is_known_event_by_event() -> None:
    event = {
        "kind": "end",
        "at": "2026-11-22T00:00:00Z",
        "attempt": 1,
        "cost_usd": None,
        "tags": {"team": "a"},
        "reasons": ["one", "two"],
        "total_us": 12_345,
        "error_code": "",
        "output_tokens": 0,
        "is_final": True,
    }
    lines = format_request({"request_id": "r", "attempts": 1, "events": [event]})
    text = "\n".join(lines)
    assert "attempt 1 end at 2026-11-22T00:00:00Z" in text
    assert "unknown" in text
    assert "team=a" in text
    assert "one, two" in text
    assert "12,345" in text
    assert "True" in text
    assert "error_code" not in text
    assert "output_tokens" not in text


def test_a_cost_that_leaves_something_out_is_a_lower_bound_and_none_at_all_is_unknown() -> None:
    names = ["cost_usd", "gross_baseline_usd", "gross_saving_usd"]
    amounts = {"cost_usd": "1.23", "gross_baseline_usd": "0.0000001", "gross_saving_usd": "-0.5"}
    mixed = usage_row(model="m", unpriced_requests=1, partial_amounts=names, **amounts)
    own = usage_row(model="own", unpriced_requests=1, **dict.fromkeys(names))
    free = usage_row(model="free")
    lines = format_usage("model", {"rows": [mixed, own, free], "totals": mixed})
    for line in (lines[2], lines[-1]):
        assert ">= 1.230000  >= 0.0000001  -0.500000 + ?" in line
    assert lines[3].split().count("unknown") == 3
    assert lines[4].split().count("0.000000") == 3


def estimate(**changes: Any) -> dict[str, Any]:
    return {
        "is_billed": False, "counted_by": "tiktoken", "model": "gpt-4o", "encoding": "o200k_base",
        "is_exact_encoding": True, "is_partial": False, "input_tokens": 1200, "output_tokens": 7,
        "price_state": "agreed", "estimated_usd": "0.00307", **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (
            {},
            "estimate (tiktoken, o200k_base): not billed: 1,200 input and 7 output tokens, "
            "~0.00307 USD",
        ),
        (
            {"is_exact_encoding": False, "encoding": "cl100k_base", "model": "claude-x"},
            "estimate (tiktoken, cl100k_base, approximate for claude-x): not billed: 1,200 input "
            "and 7 output tokens, ~0.00307 USD",
        ),
        (
            {"is_partial": True, "output_tokens": None, "estimated_usd": None},
            "estimate (tiktoken, o200k_base): not billed: 1,200 input and unknown output tokens, "
            "in part extrapolated or left out, at an unknown price",
        ),
    ],
)
def test_an_estimate_says_that_it_is_one(changes: dict[str, Any], shown: str) -> None:
    event = {"kind": "end", "attempt": 1, "at": "now", "estimate": estimate(**changes)}
    assert format_request({"request_id": "r", "events": [event]})[-1].strip() == (
        f"estimate  {shown}"
    )


def test_estimates_have_a_column_only_where_there_are_some() -> None:
    none = usage_row(model="a", requests=1, unpriced_requests=1)
    some = usage_row(model="b", requests=2, estimated_attempts=2, estimated_usd="0.0012")
    unpriced = usage_row(model="c", requests=1, estimated_attempts=1)
    lines = format_usage("model", {"rows": [none, some, unpriced], "totals": some})
    assert lines[0].endswith("estimated USD")
    assert [line.split()[-1] for line in lines[2:5]] == ["0.000000", "~0.001200", "unknown"]
    assert "estimated" not in format_usage("model", {"rows": [none], "totals": none})[0]
