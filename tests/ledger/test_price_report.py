"""What `prices explain` prints."""

from decimal import Decimal

import pytest

from config.prices.document import canonical_bytes, read_document
from ledger.price_book import PriceBook, build_effective_book, load_price_book
from ledger.price_report import explain, per_million_usd
from ledger.rating import Price


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


def test_an_agreed_price_shows_both_sources(book: PriceBook) -> None:
    rows = explain(book, "openai/gpt-4o")

    assert rows[0] == "openai/gpt-4o: agreed (both sources agree within 0.5%)"
    assert "litellm" in rows[1]
    assert "genai-prices" in rows[1]
    assert next(row.split() for row in rows if "cache_read" in row) == [
        "cache_read", "1.25", "1.25", "1.25",
    ]  # fmt: skip
    assert any(row.startswith("  batch, agreed: input 1.25, output 5") for row in rows)
    assert any(row.startswith("  apiece: web_search_calls 0.0") for row in rows)
    assert book.hash in rows[-1]


def test_a_disputed_price_says_why(book: PriceBook) -> None:
    rows = explain(book, "deepseek-chat")

    assert rows[0].startswith("deepseek/deepseek-chat: disputed (sources differ")
    assert "time of day" in rows[0]
    output = next(row.split() for row in rows if row.strip().startswith("output"))
    assert output[1] == str(max(Decimal(output[2]), Decimal(output[3])))


def test_a_name_is_looked_up_at_every_provider(book: PriceBook) -> None:
    titles = [row for row in explain(book, "gpt-4o") if row.endswith(")")]

    assert {title.partition("/")[0] for title in titles} >= {"openai", "azure"}


def test_one_source_alone_is_shown_alone(book: PriceBook) -> None:
    rows = explain(book, "openai/davinci-002")

    assert rows[0] == "openai/davinci-002: disputed (one source)"
    assert "litellm" not in rows[1]


def test_an_unknown_model_gets_near_names(book: PriceBook) -> None:
    rows = explain(book, "gpt-4oo")

    assert "unknown" in rows[0]
    assert "gpt-4o" in rows[1]
    assert "price" in rows[2]


def test_the_operators_price_comes_first() -> None:
    document = build_effective_book(
        read_document(),
        {("local", "qwen3"): Price(input=500_000, output=800_000)},
        {("local", "qwen3"): "the bill of May"},
    )

    rows = explain(PriceBook(canonical_bytes(document)), "qwen3")

    assert rows[0] == (
        "local/qwen3: agreed (declared by the operator in apex.yaml, citing the bill of May)"
    )
    assert rows[1] == "  input 0.5, output 0.8"


@pytest.mark.parametrize(
    ("picousd", "text"),
    [(10_000_000, "10"), (1_250_000, "1.25"), (144_375, "0.144375"), (100, "0.0001"), (0, "0"),
     (None, "-")],
)  # fmt: skip
def test_amounts_lose_no_digit(picousd: int | None, text: str) -> None:
    assert per_million_usd(picousd) == text


def test_a_price_without_a_citation_is_disputed() -> None:
    document = build_effective_book(read_document(), {("local", "qwen3"): Price(input=1)})

    (row, *_) = explain(PriceBook(canonical_bytes(document)), "qwen3")
    assert row == (
        "local/qwen3: disputed (declared by the operator in apex.yaml without a citation)"
    )
