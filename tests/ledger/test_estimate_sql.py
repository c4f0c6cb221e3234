"""Estimates beside usage: only where usage is unknown, by every dimension, in no other amount."""

from typing import Any

import orjson
import pytest

from ledger.estimate_sql import estimated_by
from ledger.events import END, event_id
from ledger.usage import request_detail, usage_rows
from ledger.usage_sql import DIMENSIONS
from tests.ledger.samples import AT_US, SMALL, Ledger, make_pair

AMOUNTS = ("cost_usd", "gross_baseline_usd", "gross_saving_usd", "partial_amounts")


async def add_estimate(ledger: Ledger, request_id: str, **changes: Any) -> None:
    row = {
        "event_id": event_id("acme", request_id, 1, END), "tenant": "acme",
        "request_id": request_id, "attempt": 1, "at_us": AT_US, "model": "large-1",
        "encoding": "cl100k_base", "is_exact_encoding": False, "is_partial": False,
        "input_tokens": 100, "output_tokens": 10, "estimated_picousd": 450_000_000,
        "price_state": "agreed", **changes,
    }  # fmt: skip
    token = f"{request_id}-{sorted(changes.items())}"
    await ledger.columnar.insert_json_lines("usage_estimates", orjson.dumps(row), token)


async def write(ledger: Ledger, *events: Any) -> None:
    ledger.write(events)
    await ledger.shipper.ship()


@pytest.mark.engines
@pytest.mark.parametrize("dimension", [*DIMENSIONS])
async def test_every_dimension_has_its_estimates(any_ledger: Ledger, dimension: str) -> None:
    tags = {"team": "a"}
    await write(
        any_ledger,
        *make_pair("r1"),
        *make_pair("r2", usage_source="unknown", requested_model=SMALL, tags=tags),
    )
    before = await usage_rows(any_ledger.columnar, dimension)
    await add_estimate(any_ledger, "r2")
    await add_estimate(any_ledger, "r2")
    usage = await usage_rows(any_ledger.columnar, dimension)
    assert sum(row["estimated_attempts"] for row in usage["rows"]) == 1
    assert (usage["totals"]["estimated_attempts"], usage["totals"]["estimated_usd"]) == (
        1,
        "0.00045",
    )
    assert [usage["totals"][name] for name in AMOUNTS] == [
        before["totals"][name] for name in AMOUNTS
    ]


async def test_a_repeated_row_of_another_count_is_one_estimate(ledger: Ledger) -> None:
    await write(ledger, *make_pair("r1", usage_source="unknown"))
    await add_estimate(ledger, "r1")
    await add_estimate(ledger, "r1", input_tokens=101)
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert totals["estimated_attempts"] == 1


async def test_what_a_provider_counted_is_never_estimated(ledger: Ledger) -> None:
    await write(ledger, *make_pair("r1"), *make_pair("r2", usage_source="none"))
    await add_estimate(ledger, "r1")
    await add_estimate(ledger, "r2")
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert (totals["estimated_attempts"], totals["estimated_usd"]) == (0, None)


async def test_an_estimate_without_a_price_counts_and_has_no_amount(ledger: Ledger) -> None:
    await write(ledger, *make_pair("r1", usage_source="unknown"))
    await add_estimate(ledger, "r1", estimated_picousd=None)
    totals = (await usage_rows(ledger.columnar, "model"))["totals"]
    assert (totals["estimated_attempts"], totals["estimated_usd"]) == (1, None)


async def test_period_and_tenant_bound_it(ledger: Ledger) -> None:
    await write(ledger, *make_pair("r1", usage_source="unknown"))
    await add_estimate(ledger, "r1")
    for since, until, tenant in ((0, AT_US, ""), (AT_US + 1, 2**62, ""), (0, 2**62, "other")):
        asked = {"since": since, "until": until, "tenant": tenant}
        assert await ledger.columnar.query(estimated_by("tenant"), asked) == []


async def test_a_request_shows_its_estimate_and_stays_unknown(ledger: Ledger) -> None:
    await write(ledger, *make_pair("r1", usage_source="unknown"), *make_pair("r2"))
    await add_estimate(ledger, "r1")
    await add_estimate(ledger, "r2")
    detail = await request_detail(ledger.columnar, "r1")
    assert detail is not None
    assert detail["cost_usd"] is None
    start, end = detail["events"]
    assert "estimate" not in start
    assert end["cost_usd"] is None
    assert end["input_tokens"] == end["estimate"]["input_tokens"] == 100
    assert end["estimate"] == {
        "is_billed": False,
        "counted_by": "tiktoken",
        "model": "large-1",
        "encoding": "cl100k_base",
        "is_exact_encoding": False,
        "is_partial": False,
        "input_tokens": 100,
        "output_tokens": 10,
        "price_state": "agreed",
        "estimated_usd": "0.00045",
    }
    metered = await request_detail(ledger.columnar, "r2")
    assert metered is not None
    assert all("estimate" not in event for event in metered["events"])
