"""The price books by their hash, each read once. Used by the shipper: every event names its own."""

import logging
from pathlib import Path

from config.errors import ConfigError
from ledger.price_bands import AS_USUAL, Service
from ledger.price_book import PriceBook, load_price_book
from ledger.rating import PriceState, Quote

_log = logging.getLogger(__name__)
_NO_QUOTE = Quote(PriceState.unknown, None, "none", reason="the event's price book is missing")
_MOST_BOOKS = 16


class MissingBook:
    """Stands for a book that cannot be read: everything shows as unknown, nothing is held up."""

    def quote(
        self,
        upstream: str,
        upstream_kind: str,
        base_url_host: str,
        model: str,
        service: Service = AS_USUAL,
    ) -> Quote:
        del upstream, upstream_kind, base_url_host, model, service
        return _NO_QUOTE

    def quote_tools(self, upstream_kind: str, base_url_host: str) -> Quote:
        del upstream_kind, base_url_host
        return _NO_QUOTE


class BookShelf:
    """Loads {directory}/<hash>.json on demand and keeps the latest few."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._books: dict[str, PriceBook] = {}
        self._missing: set[str] = set()

    def find(self, book_hash: str) -> PriceBook | MissingBook:
        """The book; a MissingBook when it cannot be read, which is logged once and tried again."""
        book = self._books.get(book_hash)
        if book is not None:
            return book
        if not book_hash.isalnum():
            return MissingBook()
        try:
            book = load_price_book(self._directory / f"{book_hash}.json")
        except ConfigError as error:
            if book_hash not in self._missing:
                _log.error("events are shipped unpriced: %s", error)
            self._missing.add(book_hash)
            return MissingBook()
        while len(self._books) >= _MOST_BOOKS:
            self._books.pop(next(iter(self._books)))
        self._books[book_hash] = book
        return book
