"""What a public model costs at each of its targets, and why."""

import pytest

from config.prices.document import canonical_bytes, read_document
from ledger.price_book import PriceBook, build_effective_book
from ledger.rating import Price
from ledger.target_report import PricedTarget, TargetPrice, explain_model, price_targets

OPENAI = PricedTarget("openai", "openai", "api.openai.com", "gpt-4o", is_private=False)
MOCK = PricedTarget("mock", "mock", "127.0.0.1", "claude-haiku-4-5", is_private=False)
LOCAL = PricedTarget("local", "openai", "127.0.0.1", "llama", is_private=True)
OWN = PricedTarget("local", "openai", "127.0.0.1", "qwen3", is_private=True)
ELSEWHERE = PricedTarget("else", "openai", "llm.example.com", "gpt-4o", is_private=False)
UNLISTED = PricedTarget("openai", "openai", "api.openai.com", "llama", is_private=False)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    price = Price(input=500_000, output=800_000)
    places = {("local", "qwen3"): price}
    citations = {("local", "qwen3"): "the bill of May"}
    document = build_effective_book(read_document(), places, citations)
    return PriceBook(canonical_bytes(document))


def priced(book: PriceBook, target: PricedTarget) -> TargetPrice:
    return price_targets(book, [target])[0]


@pytest.mark.parametrize(
    ("target", "state", "source", "provider", "reason"),
    [
        (OPENAI, "agreed", "book", "openai", "both sources agree within 0.5%"),
        (MOCK, "agreed", "book", "anthropic", "both sources agree"),
        (OWN, "agreed", "override", "", "declared in apex.yaml, citing the bill of May"),
        (LOCAL, "unknown", "none", "", "127.0.0.1 is a private host without a declared price"),
        (ELSEWHERE, "unknown", "none", "", "no price list is known for llm.example.com"),
        (UNLISTED, "unknown", "none", "", "openai list no model llama"),
    ],
)
def test_a_target_has_a_quote_and_a_reason(
    book: PriceBook, target: PricedTarget, state: str, source: str, provider: str, reason: str
) -> None:
    document = priced(book, target).document()
    found = (document["state"], document["source"], document["provider"])
    assert found == (state, source, provider)
    assert document["reason"].startswith(reason)
    assert bool(document["usd_per_million"]) is (state != "unknown")


def test_the_rows_name_every_target_and_then_the_sources(book: PriceBook) -> None:
    rows = explain_model(book, "house", price_targets(book, [OPENAI, LOCAL]), ["house"])
    assert rows[:6] == [
        "house: 2 targets, tried in this order",
        "  1. gpt-4o on openai (api.openai.com): agreed, list price of openai: "
        "both sources agree within 0.5%",
        "     USD per million: input 2.5, output 10, cache_read 1.25, image_input 2.5",
        "     USD apiece: file_search_calls 0.0025, web_search_calls 0.01",
        "  2. llama on local (127.0.0.1): unknown: "
        "127.0.0.1 is a private host without a declared price",
        "     declare one in apex.yaml: models.house.price, or price of this upstream in it",
    ]
    assert "openai/gpt-4o: agreed (both sources agree within 0.5%)" in rows
    assert rows[-1].startswith(f"price book {book.hash}")


def test_a_name_nobody_declares_is_looked_up_in_the_book_alone(book: PriceBook) -> None:
    rows = explain_model(book, "openai/gpt-4o", [], ["house"])
    assert rows[0].startswith("openai/gpt-4o: agreed")
    assert rows[-1].startswith("no public model here is called openai/gpt-4o")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hause", "did you mean house?"),
        ("gpt-4o-minni", "gpt-4o-mini"),
        ("zzzzzzzzzzzzzzzzzzzzzzzz", "no known name is near it"),
    ],
)
def test_an_unknown_name_gets_near_ones(book: PriceBook, name: str, said: str) -> None:
    assert said in explain_model(book, name, [], ["house"])[1]
