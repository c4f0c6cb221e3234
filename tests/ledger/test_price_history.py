"""Quotes by both times: when a price held, and when we knew."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from config.prices.history import PriceRow, append_batch
from ledger.price_history import PriceHistory, load_price_history
from ledger.rating import Price, PriceState

MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def row(amount: int, valid_from: str) -> PriceRow:
    band = {"tier": "standard", "above_input_tokens": 0, "state": "agreed",
            "price": {"input": amount}}  # fmt: skip
    return PriceRow("openai", "big", valid_from, "", {"bands": [band]})


@pytest.fixture
def history(tmp_path: Path) -> PriceHistory:
    path = tmp_path / "history.jsonl"
    append_batch(path, [row(10, "")], MAY, {})
    recorded = append_batch(path, [row(20, "2026-04-15")], JUNE, {})
    return PriceHistory(recorded, {"schema": 2, "sources": {}})


def quoted(history: PriceHistory, at: datetime, as_of: datetime | None = None) -> Price | None:
    return history.book(at, as_of).quote("main", "openai", "", "big").price


def test_a_correction_changes_what_is_known_now_and_not_what_was_known(
    history: PriceHistory,
) -> None:
    april = datetime(2026, 4, 20, tzinfo=UTC)

    assert quoted(history, april) == Price(input=20)
    assert quoted(history, april, MAY) == Price(input=10)
    assert quoted(history, april, JUNE) == Price(input=20)
    assert quoted(history, datetime(2026, 4, 14, tzinfo=UTC)) == Price(input=10)
    before = history.book(april, MAY - timedelta(seconds=1))
    assert before.quote("main", "openai", "", "big").state is PriceState.unknown


def test_a_day_begins_in_utc(history: PriceHistory) -> None:
    tokyo = timezone(timedelta(hours=9))

    assert quoted(history, datetime(2026, 4, 15, 8, tzinfo=tokyo)) == Price(input=10)
    assert quoted(history, datetime(2026, 4, 15, 9, tzinfo=tokyo)) == Price(input=20)


def test_rows_tell_the_whole_story(history: PriceHistory) -> None:
    rows = history.rows_of("openai", "big")
    assert [each.recorded_at for each in rows] == [MAY.isoformat(), JUNE.isoformat()]
    assert history.rows_of("openai", "none") == []


def test_the_shipped_history_quotes_as_the_shipped_book() -> None:
    history = load_price_history()
    book = history.book(datetime(2026, 11, 25, tzinfo=UTC))
    quote = book.quote("main", "openai", "", "gpt-4o")
    assert (quote.state, quote.price and quote.price.input) == (PriceState.agreed, 2_500_000)
