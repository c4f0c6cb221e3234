"""The listing: every model once, filtered, with decimal text."""

import pytest

from config.prices.document import canonical_bytes
from ledger.price_book import PriceBook
from ledger.price_list import list_prices, table_of

BAND = {"tier": "standard", "above_input_tokens": 0, "state": "agreed",
        "price": {"input": 2_500_000, "output": 10_000_000}}  # fmt: skip


@pytest.fixture
def book() -> PriceBook:
    flex = {**BAND, "tier": "flex", "state": "disputed", "reason": "one source"}
    unit = {"picousd": 10**10, "state": "disputed"}
    models = {
        "big": {"bands": [BAND, flex], "mode": "chat", "units": {"web_search_calls": unit}},
        "loud": {"bands": [], "mode": "audio_speech", "units": {"a": unit, "b": unit}},
        "*": {"bands": [], "units": {"web_search_calls": unit}},
    }
    return PriceBook(
        canonical_bytes(
            {"header": {"schema": 2}, "providers": {"openai": models, "xai": {"x": models["big"]}}}
        )
    )


def test_every_model_is_listed_and_tools_are_none(book: PriceBook) -> None:
    rows = list_prices(book)

    assert [(row["provider"], row["model"]) for row in rows] == [
        ("openai", "big"), ("openai", "loud"), ("xai", "x"),
    ]  # fmt: skip
    assert rows[0]["usd_per_million"] == {"input": "2.5", "output": "10"}
    assert rows[0]["usd_per_unit"] == {"web_search_calls": "0.01"}
    assert [band["tier"] for band in rows[0]["bands"]] == ["standard", "flex"]


def test_rows_are_filtered(book: PriceBook) -> None:
    assert [row["model"] for row in list_prices(book, "xai")] == ["x"]
    assert [row["model"] for row in list_prices(book, state="disputed")] == ["loud"]
    assert list_prices(book, "xai", "disputed") == []


def test_the_table_shows_what_else_there_is(book: PriceBook) -> None:
    _, big, loud, _ = table_of(list_prices(book))

    assert big == ["openai/big", "agreed", "2.5", "10", "-", "2 bands, web_search_calls 0.01"]
    assert loud == ["openai/loud", "disputed", "-", "-", "-", "2 units"]
