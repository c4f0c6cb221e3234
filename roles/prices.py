"""`python main.py prices`: builds the shipped price book again, or explains one model's price."""

import argparse
import importlib

from config.log import configure_logging
from config.settings import Settings
from ledger.price_book import PriceBook, load_price_book
from ledger.price_report import explain
from roles import places


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `prices`."""
    configure_logging(settings.log_format, "prices")
    if arguments.action == "build":
        # Needs packages of the development environment, which a gateway runs without.
        rows: list[str] = importlib.import_module("config.prices.build").write_book()
    else:
        rows = explain(_find_book(settings), arguments.model)
    print("\n".join(rows))
    return 0


def _find_book(settings: Settings) -> PriceBook:
    """The book in force, with the prices of apex.yaml; the shipped one before the first start."""
    books = sorted(
        places.price_books_directory(settings).glob("*.json"), key=lambda path: path.stat().st_mtime
    )
    return load_price_book(books[-1]) if books else load_price_book()
