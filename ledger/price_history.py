"""What a model cost on a day by what was known at an instant; called by reports and re-rating."""

from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from config.prices.document import BOOK_PATH, canonical_bytes, read_document
from config.prices.history import HISTORY_PATH, History, PriceRow, read_history
from ledger.price_book import PriceBook


class PriceHistory:
    """The recorded prices with both times: when they held, and when we knew.

    A correction is a later row, so `as_of` an earlier instant still gives what was rated then.
    """

    def __init__(self, history: History, header: dict[str, Any]) -> None:
        self._history = history
        self._header = header
        self._book = lru_cache(maxsize=4)(self._build)

    def book(self, at: datetime, as_of: datetime | None = None) -> PriceBook:
        """The book of the instant `at` as it was known `as_of` (both aware; None is all we know).

        `book(at, as_of).quote(...)` quotes from it as from any other.
        """
        known = as_of.astimezone(UTC) if as_of else None
        return self._book(at.astimezone(UTC).date(), known)

    def rows_of(self, provider: str, model: str) -> list[PriceRow]:
        """Everything ever recorded of one model, the oldest first."""
        return [row for row in self._history.rows if (row.provider, row.model) == (provider, model)]

    def _build(self, day: date, as_of: datetime | None) -> PriceBook:
        header = {**self._header, "as_of": day.isoformat()}
        providers = self._history.providers(day, as_of)
        return PriceBook(canonical_bytes({"header": header, "providers": providers}))


def load_price_history(path: Path = HISTORY_PATH, book_path: Path = BOOK_PATH) -> PriceHistory:
    """The history shipped with the book; ConfigError when it was changed or damaged."""
    return PriceHistory(read_history(path), read_document(book_path)["header"])
