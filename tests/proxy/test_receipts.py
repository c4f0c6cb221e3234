"""Cost headers: the same calculator as the ledger's, and silence where nothing is known."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import Clock
from config.prices.document import BOOK_PATH
from ledger.amounts import usd_text
from ledger.end_rating import rate_end
from ledger.event_bytes import encode_event
from ledger.events import TOKEN_BUCKETS, AttemptEnd, Outcome
from ledger.price_book import PriceBook, load_price_book
from ledger.usage_row import decode_event
from policies.snapshot import Target
from proxy.event_drafts import draft_end
from proxy.live import LiveSnapshot
from proxy.receipts import cost_headers, receipt
from tests.proxy.samples import live_snapshot, request_context, upstream


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


@pytest.fixture(scope="module")
def live(book: PriceBook) -> LiveSnapshot:
    upstreams = {
        "openai": upstream("openai"),
        "local": upstream("local", "http://127.0.0.1:9101/v1", allow_private=True),
    }
    models = {
        "gpt-4o": (Target("openai", "gpt-4o"), Target("local", "llama")),
        "gpt-4o-mini": (Target("openai", "gpt-4o-mini"),),
    }
    return live_snapshot(book, upstreams=upstreams, models=models)


def ended(live: LiveSnapshot, place: str, model: str, **fields: object) -> AttemptEnd:
    context = request_context(live)
    end = draft_end(context, live.places[place], model, Clock())
    end.outcome, end.usage_source = Outcome.ok, "provider"
    end.input_tokens, end.output_tokens = 1_000_000, 100_000
    for name, value in fields.items():
        setattr(end, name, value)
    return end


def test_a_call_as_asked_costs_its_baseline(live: LiveSnapshot) -> None:
    headers = cost_headers(request_context(live), ended(live, "openai", "gpt-4o"))
    assert headers == {"x-apex-cost-usd": "3.5", "x-apex-gross-baseline-usd": "3.5"}


def test_a_cheaper_model_shows_both_sides(live: LiveSnapshot) -> None:
    headers = cost_headers(request_context(live), ended(live, "openai", "gpt-4o-mini"))
    assert headers["x-apex-gross-baseline-usd"] == "3.5"
    assert float(headers["x-apex-cost-usd"]) == pytest.approx(0.21)


@pytest.mark.parametrize("cache", ["hit", "coalesced"])
def test_an_answer_from_the_cache_cost_nothing(live: LiveSnapshot, cache: str) -> None:
    end = ended(live, "openai", "gpt-4o", cache=cache, usage_source="cache")
    headers = cost_headers(request_context(live), end)
    assert headers == {"x-apex-cost-usd": "0", "x-apex-gross-baseline-usd": "3.5"}


def test_an_unknown_price_is_left_out_and_never_zero(live: LiveSnapshot) -> None:
    """Lesson 4: a missing price is unknown."""
    headers = cost_headers(request_context(live), ended(live, "local", "llama"))
    assert "x-apex-cost-usd" not in headers


def test_unknown_usage_has_no_cost(live: LiveSnapshot) -> None:
    end = ended(live, "openai", "gpt-4o", usage_source="unknown")
    assert cost_headers(request_context(live), end) == {}


def test_the_event_is_not_changed(live: LiveSnapshot) -> None:
    end = ended(live, "openai", "gpt-4o")
    cost_headers(request_context(live), end)
    assert not end.is_final


def test_tiny_amounts_are_written_out(live: LiveSnapshot) -> None:
    end = ended(live, "openai", "gpt-4o", input_tokens=1, output_tokens=0)
    assert cost_headers(request_context(live), end)["x-apex-cost-usd"] == "0.0000025"


ends = st.fixed_dictionaries(
    {"model": st.sampled_from(["gpt-4o", "gpt-4o-mini", "gpt-5.4", "nobody-knows"])},
    optional={
        "served_model": st.sampled_from(["", "gpt-4o", "gpt-4o-2024-08-06", "gpt-5.4-pro"]),
        "served_tier": st.sampled_from(["", "default", "flex", "batch", "priority", "odd"]),
        "requested_tier": st.sampled_from(["", "flex", "auto"]),
        "usage_source": st.sampled_from(["provider", "cache", "unknown", "none", "deferred"]),
        "cache": st.sampled_from(["miss", "hit", "coalesced", "bypass"]),
        "units": st.dictionaries(
            st.sampled_from(["web_search_calls", "teleports"]), st.integers(0, 9), max_size=2
        ),
        "is_final": st.booleans(),
        **{name: st.integers(0, 400_000) for name in TOKEN_BUCKETS},
    },
)


@given(ends, st.sampled_from(["openai", "local"]))
def test_headers_and_receipts_say_what_the_ledger_will(
    live: LiveSnapshot, fields: dict[str, Any], place: str
) -> None:
    """The record goes through the log; a book that remembers nothing yet rates it."""
    end = ended(live, place, **fields)
    record = decode_event(encode_event(replace(end, attempt=1, is_final=True, at_us=1)))
    rated = rate_end(PriceBook(BOOK_PATH.read_bytes()), record)
    amounts = {"x-apex-cost-usd": rated.cost, "x-apex-gross-baseline-usd": rated.gross_baseline}
    known = {
        name: usd_text(amount.picousd)
        for name, amount in amounts.items()
        if amount.picousd is not None
    }
    context = request_context(live)
    assert cost_headers(context, end) == known
    assert receipt(context, end) == {name: known.get(name, "unknown") for name in amounts}
