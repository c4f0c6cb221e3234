"""Usage: exact sums by every dimension, ranges, unknown attempts, and one request in full."""

from decimal import Decimal
from typing import Any

import pytest

from ledger.open_attempts import load_open_window
from ledger.usage import UsageQueryError, UsageRange, parse_range, request_detail, usage_rows
from tests.ledger.samples import (
    AT_US,
    DISPUTED,
    HOUR_US,
    LARGE,
    SMALL,
    Ledger,
    make_end,
    make_pair,
    make_start,
)

DAY_US = 24 * HOUR_US
AMOUNTS_USD = ("cost_usd", "gross_baseline_usd", "gross_saving_usd")


async def shipped(ledger: Ledger, *events: Any) -> Ledger:
    ledger.write(events)
    await ledger.shipper.ship()
    return ledger


@pytest.mark.engines
async def test_rows_and_totals(any_ledger: Ledger) -> None:
    await shipped(
        any_ledger,
        *make_pair("r1"),
        *make_pair("r2", upstream_model=SMALL, served_model=SMALL),
        *make_pair("r3", cache="hit", usage_source="cache"),
        *make_pair("r4", cache="coalesced", usage_source="cache"),
        *make_pair("r5", requested_model=SMALL, upstream_model=SMALL, served_model=SMALL,
                   baseline_model=SMALL, input_tokens=1, output_tokens=0),
    )  # fmt: skip
    usage = await usage_rows(any_ledger.columnar, "model")
    large, small = usage["rows"]
    assert list(large)[:3] == ["model", "requests", "attempts"]
    assert (large["model"], large["requests"], large["attempts"]) == (LARGE, 4, 4)
    assert (large["cache_hits"], large["coalesced"], large["errors"]) == (1, 1, 0)
    assert (large["input_tokens"], large["output_tokens"], large["total_tokens"]) == (200, 20, 220)
    assert large["cache_served_tokens"] == 220
    assert large["cost_usd"] == "0.00057"
    assert large["gross_baseline_usd"] == "0.0018"
    assert large["gross_saving_usd"] == "0.00123"
    assert (small["model"], small["cost_usd"]) == (SMALL, "0.000001")
    assert usage["totals"]["requests"] == 5
    assert usage["totals"]["cost_usd"] == "0.000571"
    assert "model" not in usage["totals"]


@pytest.mark.engines
@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("served_model", {LARGE: 1, SMALL: 1}),
        ("key", {"k1": 1, "k2": 1}),
        ("tag", {"team=a": 2, "env=prod": 1}),
        ("day", {"2026-11-23": 1, "2026-11-24": 1}),
        ("upstream", {"mock": 2}),
        ("cache", {"miss": 1, "bypass": 1}),
        ("tenant", {"acme": 2}),
        ("arm", {"": 1, "holdout": 1}),
    ],
)
async def test_every_dimension(any_ledger: Ledger, group_by: str, expected: dict[str, int]) -> None:
    second = {
        "at_us": AT_US + DAY_US, "key_id": "k2", "served_model": SMALL, "cache": "bypass",
        "tags": {"team": "a", "env": "prod"}, "arm": "holdout",
    }  # fmt: skip
    await shipped(any_ledger, *make_pair("r1", tags={"team": "a"}), *make_pair("r2", **second))
    usage = await usage_rows(any_ledger.columnar, group_by)
    assert {row[group_by]: row["requests"] for row in usage["rows"]} == expected
    assert usage["totals"]["requests"] == 2


async def test_nothing_recorded_is_all_zero(ledger: Ledger) -> None:
    usage = await usage_rows(ledger.columnar, "day")
    assert usage["rows"] == []
    assert usage["totals"]["requests"] == 0
    assert usage["totals"]["cost_usd"] == "0"
    await shipped(ledger, *make_pair("r1"))
    assert list(usage["totals"]) == list((await usage_rows(ledger.columnar, "day"))["totals"])


async def test_a_retried_request_is_one_request(ledger: Ledger) -> None:
    failed: dict[str, Any] = {
        "outcome": "upstream_error",
        "is_final": False,
        "usage_source": "none",
    }
    await shipped(ledger, make_start("r1"), make_end("r1", **failed))
    await shipped(ledger, make_start("r1", 2), make_end("r1", 2))
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert (totals["requests"], totals["attempts"], totals["errors"]) == (1, 2, 0)
    assert totals["cost_usd"] == totals["gross_baseline_usd"] == "0.00045"


@pytest.mark.parametrize(
    ("outcome", "errors"),
    [("ok", 0), ("client_closed", 0), ("upstream_error", 1), ("refused", 1), ("truncated", 1)],
)
async def test_errors(ledger: Ledger, outcome: str, errors: int) -> None:
    await shipped(ledger, *make_pair("r1", outcome=outcome))
    assert (await usage_rows(ledger.columnar, "model"))["totals"]["errors"] == errors


async def test_an_attempt_without_end_is_shown_as_unknown(ledger: Ledger) -> None:
    dead = ledger.open_writer("proxy-1-bb")
    ledger.write([make_start("killed", requested_model="other", tags={"team": "b"})], dead)
    dead.close()
    now_us = ledger.clock.now_us()
    await shipped(ledger, *make_pair("r1"), make_start("open", at_us=now_us))
    window = load_open_window(ledger.segments_dir, ledger.clock)
    usage = await usage_rows(ledger.columnar, "model", open_window=window)
    found = {row["model"]: (row["requests"], row["unknown_attempts"]) for row in usage["rows"]}
    assert found == {LARGE: (1, 0), "other": (0, 1)}
    assert [row["cost_usd"] for row in usage["rows"]] == ["0.00045", None]
    assert "cost_usd" in usage["totals"]["partial_amounts"]
    assert (usage["totals"]["attempts"], usage["totals"]["unknown_attempts"]) == (2, 1)
    by_tag = await usage_rows(ledger.columnar, "tag", open_window=window)
    assert {row["tag"]: row["unknown_attempts"] for row in by_tag["rows"]} == {"": 0, "team=b": 1}
    everything = await usage_rows(ledger.columnar, "model")
    assert everything["totals"]["unknown_attempts"] == 2


async def test_what_has_no_price_is_counted_and_not_called_free(ledger: Ledger) -> None:
    await shipped(
        ledger,
        *make_pair("r1"),
        *make_pair("r2", usage_source="unknown"),
        make_start("r3"), make_end("r3", usage_source="unknown", is_final=False),
        make_start("r3", 2), make_end("r3", 2, upstream_model="own", served_model="own"),
    )  # fmt: skip
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert (totals["requests"], totals["unpriced_requests"]) == (3, 2)
    assert totals["cost_usd"] == "0.00045"
    assert totals["partial_amounts"] == ["cost_usd", "gross_baseline_usd", "gross_saving_usd"]


async def test_a_row_of_unpriced_requests_has_no_amounts(ledger: Ledger) -> None:
    own = dict.fromkeys(("requested_model", "upstream_model", "served_model"), "own")
    await shipped(
        ledger,
        *make_pair("r1", **own, baseline_model="own"),
        *make_pair("r2", **own, baseline_model="own", cache="hit", usage_source="cache"),
        *make_pair("r3", **own, outcome="refused", usage_source="none"),
        *make_pair("r4"),
    )
    usage = await usage_rows(ledger.columnar, "model")
    priced, unpriced = usage["rows"]
    assert (unpriced["model"], unpriced["requests"], unpriced["unpriced_requests"]) == ("own", 3, 1)
    assert [unpriced[name] for name in AMOUNTS_USD] == [None, None, None]
    assert unpriced["partial_amounts"] == []
    assert [priced[name] for name in AMOUNTS_USD] == ["0.00045", "0.00045", "0"]
    assert priced["partial_amounts"] == []
    assert usage["totals"]["cost_usd"] == "0.00045"
    assert usage["totals"]["partial_amounts"] == list(AMOUNTS_USD)


async def test_what_costs_nothing_is_zero_and_not_unknown(ledger: Ledger) -> None:
    await shipped(
        ledger,
        *make_pair("r1", cache="hit", usage_source="cache"),
        *make_pair("r2", outcome="refused", usage_source="none", requested_model="none"),
    )
    rows = {row["model"]: row for row in (await usage_rows(ledger.columnar, "model"))["rows"]}
    assert [rows["none"][name] for name in AMOUNTS_USD] == ["0", "0", "0"]
    assert [rows[LARGE][name] for name in AMOUNTS_USD] == ["0", "0.00045", "0.00045"]
    assert rows[LARGE]["partial_amounts"] == rows["none"]["partial_amounts"] == []


async def test_hits_of_an_unpriced_model_cost_nothing_and_save_who_knows_what(
    ledger: Ledger,
) -> None:
    own = dict.fromkeys(("upstream_model", "served_model", "baseline_model"), "own")
    await shipped(ledger, *make_pair("r1", **own, cache="hit", usage_source="cache"))
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert [totals[name] for name in AMOUNTS_USD] == ["0", None, None]


async def test_a_disputed_price_gives_no_credit_but_counts_against_us(ledger: Ledger) -> None:
    await shipped(ledger, *make_pair("r1", upstream_model=DISPUTED, served_model=DISPUTED))
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert (totals["cost_usd"], totals["gross_saving_usd"]) == ("0.00022", "0")
    await shipped(
        ledger,
        *make_pair("r2", upstream_model=DISPUTED, served_model=DISPUTED, baseline_model=SMALL),
    )
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert totals["gross_saving_usd"] == "-0.0001"


async def test_sums_are_exact_beyond_64_bits(ledger: Ledger) -> None:
    tokens = 3 * 10**12 - 1
    await shipped(
        ledger,
        *(e for n in range(8) for e in make_pair(f"r{n}", input_tokens=tokens, output_tokens=0)),
    )
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert Decimal(totals["cost_usd"]).scaleb(12) == 8 * tokens * 3_000_000 > 2**63


@pytest.mark.parametrize(
    ("from_", "to", "requests"),
    [
        (None, None, 2), ("2026-11-23", "2026-11-24", 1), ("2026-11-24", None, 1),
        (None, "2026-11-23", 0), ("2026-11-23T02:13:20Z", "2026-11-23T02:13:20.000001Z", 1),
        ("2026-11-23T03:13:20+01:00", "2026-11-23T02:13:21", 1),
        ("2026-11-23T02:13:20.000001", "2026-11-24", 0),
    ],
)  # fmt: skip
async def test_ranges_are_half_open(
    ledger: Ledger, from_: str | None, to: str | None, requests: int
) -> None:
    await shipped(ledger, *make_pair("r1"), *make_pair("r2", at_us=AT_US + DAY_US))
    usage = await usage_rows(ledger.columnar, "model", from_, to)
    assert usage["totals"]["requests"] == requests


async def test_one_tenant_sees_its_own(ledger: Ledger) -> None:
    await shipped(ledger, *make_pair("r1"), *make_pair("r2", tenant="other"), make_start("r3"))
    totals = (await usage_rows(ledger.columnar, "model", tenant="other"))["totals"]
    assert (totals["requests"], totals["unknown_attempts"]) == (1, 0)
    assert await request_detail(ledger.columnar, "r1", tenant="other") is None


@pytest.mark.parametrize(
    ("from_", "to", "says"),
    [
        ("yesterday", None, "from is no instant"), (None, "2026-13-01", "to is no instant"),
        ("2026-11-23", "2026-11-23", "from is not before to"), ("20261123", "1", "no instant"),
    ],
)  # fmt: skip
def test_a_bad_range_says_what_is_wrong(from_: str | None, to: str | None, says: str) -> None:
    with pytest.raises(UsageQueryError, match=says) as caught:
        parse_range(from_, to)
    assert caught.value.hint


def test_an_open_range_holds_everything() -> None:
    assert parse_range("", None) == UsageRange(0, 2**62)


async def test_an_unknown_dimension_names_the_known_ones(ledger: Ledger) -> None:
    with pytest.raises(UsageQueryError) as caught:
        await usage_rows(ledger.columnar, "model; DROP TABLE usage_events")
    assert "served_model" in caught.value.hint


@pytest.mark.engines
async def test_a_request_in_full(any_ledger: Ledger) -> None:
    failed: dict[str, Any] = {
        "outcome": "upstream_error",
        "is_final": False,
        "usage_source": "none",
    }
    await shipped(
        any_ledger, make_end("r1", 2, tags={"team": "a"}), make_start("r1", 2),
        make_start("r1"), make_end("r1", **failed), *make_pair("r2"),
    )  # fmt: skip
    detail = await request_detail(any_ledger.columnar, "r1")
    assert detail is not None
    found = [(event["attempt"], event["kind"]) for event in detail["events"]]
    assert found == [(1, "start"), (1, "end"), (2, "start"), (2, "end")]
    assert (detail["attempts"], detail["attempts_without_end"]) == (2, 0)
    assert (detail["tenant"], detail["key_id"], detail["is_complete"]) == ("acme", "k1", True)
    assert (detail["cost_usd"], detail["gross_baseline_usd"]) == ("0.00045", "0.00045")
    last = detail["events"][-1]
    assert (last["cost_usd"], last["price_state"], last["tags"]) == (
        "0.00045", "agreed", {"team": "a"},
    )  # fmt: skip
    assert last["at"] == "2026-11-23T02:13:20.000000Z"
    assert "cost_usd" not in detail["events"][0]


async def test_a_request_that_was_cut_off_says_so(ledger: Ledger) -> None:
    await shipped(ledger, make_start("r1"))
    detail = await request_detail(ledger.columnar, "r1")
    assert detail is not None
    assert (detail["is_complete"], detail["cost_usd"]) == (False, None)
    assert detail["attempts_without_end"] == 1
    assert await request_detail(ledger.columnar, "r' OR 1 = 1 --") is None
