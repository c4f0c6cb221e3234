"""Rating one END: whose price applies, what is free, what stays unknown."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ledger.end_rating import NOTHING, UNKNOWN, Amount, Quoting, RatedEnd, rate_end
from ledger.events import UNKNOWN_HOST
from ledger.rating import PriceState
from tests.ledger.samples import DISPUTED, LADDER, LARGE, SMALL, SPEECH, make_books, make_end

LARGE_COST = Amount(100 * 3_000_000 + 10 * 15_000_000, PriceState.agreed)
SMALL_COST = Amount(100 * 1_000_000 + 10 * 2_000_000, PriceState.agreed)


@pytest.fixture
def book(tmp_path: Path) -> Quoting:
    books, book_hash = make_books(tmp_path)
    return books.find(book_hash)


def rate(book: Quoting, **changes: Any) -> RatedEnd:
    return rate_end(book, asdict(make_end(**changes)))


def test_cost_is_the_served_model_and_baseline_the_requested_one(book: Quoting) -> None:
    rated = rate(book, upstream_model=SMALL, served_model=SMALL)
    assert (rated.cost, rated.gross_baseline) == (SMALL_COST, LARGE_COST)


@pytest.mark.parametrize("cache", ["hit", "coalesced"])
def test_an_answer_from_the_cache_costs_nothing_and_saves_the_baseline(
    book: Quoting, cache: str
) -> None:
    rated = rate(book, cache=cache, usage_source="cache")
    assert (rated.cost, rated.gross_baseline) == (NOTHING, LARGE_COST)


def test_a_hit_whose_usage_is_unknown_still_costs_nothing(book: Quoting) -> None:
    assert rate(book, cache="hit", usage_source="unknown") == RatedEnd(NOTHING, UNKNOWN)


def test_unknown_usage_is_unknown_and_never_zero(book: Quoting) -> None:
    assert rate(book, usage_source="unknown") == RatedEnd(UNKNOWN, UNKNOWN)


def test_what_never_reached_an_upstream_is_zero(book: Quoting) -> None:
    rated = rate(book, usage_source="none", upstream="", upstream_kind="", upstream_model="")
    assert rated == RatedEnd(NOTHING, NOTHING)


def test_only_the_final_end_carries_the_baseline(book: Quoting) -> None:
    assert rate(book, is_final=False) == RatedEnd(LARGE_COST, NOTHING)


def test_an_unknown_model_and_a_private_host_have_no_price(book: Quoting) -> None:
    assert rate(book, upstream_model="x", served_model="x").cost == UNKNOWN
    private = {"upstream_kind": "openai", "upstream_host": "10.0.0.7"}
    assert rate(book, **private, baseline_upstream="other") == RatedEnd(UNKNOWN, LARGE_COST)


def test_an_event_that_does_not_say_where_it_went_has_no_price(book: Quoting) -> None:
    assert rate(book, upstream_kind="openai", upstream_host=UNKNOWN_HOST).cost == UNKNOWN


def test_the_dated_model_that_answered_is_priced_if_it_is_listed(book: Quoting) -> None:
    assert rate(book, served_model=SMALL).cost == SMALL_COST
    assert rate(book, served_model=f"{LARGE}-2026-11-01").cost == LARGE_COST


def test_served_as_asked_saves_exactly_nothing(book: Quoting) -> None:
    rated = rate(book, served_model=SMALL)
    assert rated.cost == rated.gross_baseline


def test_a_baseline_at_the_same_upstream_needs_no_place_of_its_own(book: Quoting) -> None:
    changes = {"baseline_upstream_kind": "", "baseline_host": UNKNOWN_HOST, "served_model": SMALL}
    assert rate(book, upstream_model=SMALL, **changes).gross_baseline == LARGE_COST


def test_a_disputed_price_says_so(book: Quoting) -> None:
    assert rate(book, upstream_model=DISPUTED, served_model="").cost.state is PriceState.disputed


def test_an_amount_too_large_for_the_store_is_unknown(book: Quoting) -> None:
    assert rate(book, input_tokens=2**62).cost == UNKNOWN


def test_the_served_tier_and_the_threshold_decide_the_price(book: Quoting) -> None:
    ladder = {"upstream_model": LADDER, "served_model": LADDER}
    assert rate(book, **ladder, served_tier="flex").cost == Amount(170, PriceState.agreed)
    both = {"served_tier": "default", "requested_tier": "flex"}
    assert rate(book, **ladder, **both).cost == LARGE_COST
    doubtful = rate(book, **ladder, requested_tier="flex").cost
    assert doubtful == Amount(LARGE_COST.picousd, PriceState.disputed)
    long = {**ladder, "input_tokens": 600, "cache_read_tokens": 401}
    assert rate(book, **long).cost == Amount(6 * 1001 + 300, PriceState.agreed)
    assert rate(book, **long, served_tier="flex").cost.state is PriceState.disputed


def test_the_baseline_is_priced_at_the_tier_that_was_served_or_asked_for(book: Quoting) -> None:
    small = {"upstream_model": SMALL, "served_model": SMALL, "baseline_model": LADDER}
    flex = Amount(170, PriceState.agreed)
    assert rate(book, **small, served_tier="flex").gross_baseline == flex
    assert rate(book, **small, requested_tier="flex").gross_baseline == flex
    both = {"served_tier": "default", "requested_tier": "flex"}
    assert rate(book, **small, **both).gross_baseline == LARGE_COST


def test_units_are_paid_beside_tokens_or_alone(book: Quoting) -> None:
    searched = rate(book, units={"web_search_calls": 3})
    assert searched.cost == Amount((LARGE_COST.picousd or 0) + 3 * 10**10, PriceState.agreed)
    assert searched.gross_baseline == searched.cost
    spoken = {"upstream_model": SPEECH, "served_model": SPEECH, "baseline_model": SPEECH,
              "input_tokens": 0, "output_tokens": 0}  # fmt: skip
    minute = rate(book, **spoken, units={"audio_input_ms": 60_000})
    assert minute.cost == minute.gross_baseline == Amount(6 * 10**9, PriceState.agreed)
    assert rate(book, **spoken).cost == UNKNOWN
    assert rate(book, **spoken, units={"characters": 9}).cost == UNKNOWN


def test_a_unit_without_a_price_leaves_the_whole_cost_unknown(book: Quoting) -> None:
    assert rate(book, units={"teleports": 1}).cost == UNKNOWN
    assert rate(book, units={"teleports": 0}).cost == LARGE_COST
