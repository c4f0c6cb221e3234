"""Cost headers: the same calculator as the ledger's, and silence where nothing is known."""

import pytest

from config.clock import Clock
from ledger.events import AttemptEnd, Outcome
from ledger.price_book import PriceBook, load_price_book
from policies.snapshot import Target
from proxy.event_drafts import draft_end
from proxy.live import LiveSnapshot
from proxy.receipts import cost_headers
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
