"""The committed book is what the installed sources give, byte for byte."""

from pathlib import Path
from typing import Any

import pytest

from config.clock import Clock
from config.prices.build import write_book
from config.prices.document import BOOK_PATH, PRICE_BUCKETS, SCHEMA, TIERS, read_document
from config.prices.history import HISTORY_PATH


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return read_document()


def test_the_committed_book_is_what_the_installed_sources_give(tmp_path: Path) -> None:
    path, history_path = tmp_path / "book.json", tmp_path / "history.jsonl"
    history_path.write_bytes(HISTORY_PATH.read_bytes())

    rows = write_book(Clock(), path, history_path)

    assert history_path.read_bytes() == HISTORY_PATH.read_bytes()
    assert path.read_bytes() == BOOK_PATH.read_bytes(), (
        "the pinned sources changed: run `python main.py prices build` and review the diff"
    )
    assert any("models agreed" in row for row in rows)


def test_the_header_names_the_sources_and_their_hashes(document: dict[str, Any]) -> None:
    header = document["header"]

    assert header["schema"] == SCHEMA
    assert set(header["sources"]) == {"litellm", "genai-prices"}
    for source in header["sources"].values():
        assert source["version"]
        assert len(source["sha256"]) == 64


def test_every_price_is_a_positive_integer_of_a_known_bucket(document: dict[str, Any]) -> None:
    for models in document["providers"].values():
        for entry in models.values():
            for band in entry["bands"]:
                assert set(band["price"]) <= set(PRICE_BUCKETS)
                assert band["tier"] in TIERS
                assert band["price"]["input"] > 0
                assert all(type(amount) is int and amount > 0 for amount in band["price"].values())


def test_every_unit_has_a_price_and_only_moderation_is_free(document: dict[str, Any]) -> None:
    for models in document["providers"].values():
        for name, entry in models.items():
            assert entry["bands"] or entry["units"], name
            for unit, stated in entry.get("units", {}).items():
                assert type(stated["picousd"]) is int
                assert stated["picousd"] > 0 or unit == "moderation_calls"


def test_every_model_begins_with_its_standard_band(document: dict[str, Any]) -> None:
    for models in document["providers"].values():
        for entry in models.values():
            if not entry["bands"]:
                continue
            first = entry["bands"][0]
            assert "region" not in first
            assert (first["tier"], first["above_input_tokens"]) == ("standard", 0)
            assert first["state"] in {"agreed", "disputed"}
            assert first["state"] == "agreed" or first["reason"]


def test_the_book_stays_small() -> None:
    assert BOOK_PATH.stat().st_size < 1_300_000


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ("openai", "gpt-4o", {"input": 2_500_000, "output": 10_000_000, "cache_read": 1_250_000}),
        ("openai", "gpt-4o-mini", {"input": 150_000, "output": 600_000, "cache_read": 75_000}),
        ("openai", "text-embedding-3-small", {"input": 20_000}),
        (
            "anthropic",
            "claude-sonnet-4-5",
            {"input": 3_000_000, "output": 15_000_000, "cache_write_5m": 3_750_000,
             "cache_write_1h": 6_000_000},
        ),
        ("gemini", "gemini-2.5-pro", {"input": 1_250_000, "output": 10_000_000}),
    ],
)  # fmt: skip
def test_published_prices_are_agreed(
    document: dict[str, Any], provider: str, model: str, price: dict[str, int]
) -> None:
    band = document["providers"][provider][model]["bands"][0]

    assert band["state"] == "agreed"
    assert band["price"].items() >= price.items()
