"""A reviewed price is appended, the book is made anew, and nonsense changes nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.clock import Clock
from config.errors import ConfigError
from config.prices.document import book_hash, canonical_bytes, read_document
from config.prices.history import PriceRow, append_batch, book_of, read_history
from config.prices.updating import Shelf, update_prices

START = datetime(2026, 5, 1, tzinfo=UTC)
CLOCK = Clock(origin=datetime(2026, 6, 1, tzinfo=UTC).timestamp())
REVIEW = """
citation: https://example.com/pricing, read 2026-05-30
prices:
  - provider: openai
    model: big
    valid_from: 2026-05-20
    bands:
      - {usd_per_million: {input: 2.5, output: 10}}
    usd_per_unit: {web_search_calls: 0.01}
  - provider: openai
    model: later
    valid_from: 2030-01-01
    usd_per_unit: {image: 0.04}
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "book.json", tmp_path / "history.jsonl")
    band = {"tier": "standard", "above_input_tokens": 0, "state": "agreed",
            "price": {"input": 2_000_000}}  # fmt: skip
    history = append_batch(
        shelf.history, [PriceRow("openai", "big", "", "", {"bands": [band]})], START, {}
    )
    header = {"schema": 2, "as_of": "2026-05-01", "sources": {}}
    shelf.book.write_bytes(canonical_bytes(book_of(history, header)))
    return shelf


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "review.yaml"
    path.write_text(text)
    return path


def test_a_reviewed_price_is_in_the_book_and_the_past_is_kept(shelf: Shelf, tmp_path: Path) -> None:
    before, past = shelf.book.read_bytes(), shelf.history.read_bytes()
    rows = update_prices(write(tmp_path, REVIEW), CLOCK, shelf)

    document = read_document(shelf.book)
    entry = document["providers"]["openai"]["big"]
    assert entry["bands"][0]["price"] == {"input": 2_500_000, "output": 10_000_000}
    assert entry["units"]["web_search_calls"] == {"picousd": 10**10, "state": "agreed"}
    assert entry["citation"].startswith("https://example.com/pricing")
    assert "later" not in document["providers"]["openai"]
    assert document["header"]["as_of"] == "2026-05-20"
    assert shelf.history.read_bytes().startswith(past)
    history = read_history(shelf.history)
    assert document["header"]["history"] == history.hash
    assert history.rows[-1].recorded_at.startswith("2026-06-01T00:")
    assert book_hash(shelf.book.read_bytes()) in rows[1]
    assert book_hash(before) in rows[-1]
    assert rows[2].startswith("1 of them begin later")


def test_nonsense_is_refused_and_changes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    before = (shelf.book.read_bytes(), shelf.history.read_bytes())
    with pytest.raises(ConfigError, match="more than 20 times"):
        update_prices(write(tmp_path, REVIEW.replace("2.5", "0.0025")), CLOCK, shelf)
    assert (shelf.book.read_bytes(), shelf.history.read_bytes()) == before


def test_a_book_of_another_history_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    append_batch(shelf.history, [], START, {})
    with pytest.raises(ConfigError, match="was not made from"):
        update_prices(write(tmp_path, REVIEW), CLOCK, shelf)
