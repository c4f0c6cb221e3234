"""The shelf of price books: by hash, read once, never in the way."""

from pathlib import Path

import pytest

from ledger.book_shelf import BookShelf, MissingBook
from ledger.price_book import write_price_book
from ledger.rating import PriceState
from tests.ledger.samples import LARGE, make_books


def test_a_book_is_found_by_its_hash_and_kept(tmp_path: Path) -> None:
    shelf, book_hash = make_books(tmp_path)
    book = shelf.find(book_hash)
    assert book.quote("mock", "mock", "", LARGE).state is PriceState.agreed
    (tmp_path / f"{book_hash}.json").unlink()
    assert shelf.find(book_hash) is book


@pytest.mark.parametrize("name", ["", "a" * 64, "../../etc/passwd", "b"])
def test_a_missing_book_prices_nothing(tmp_path: Path, name: str) -> None:
    book = BookShelf(tmp_path).find(name)
    assert isinstance(book, MissingBook)
    assert book.quote("mock", "mock", "", LARGE).price is None


def test_only_the_latest_books_are_kept(tmp_path: Path) -> None:
    shelf = BookShelf(tmp_path)
    hashes = [
        write_price_book({"header": {"schema": 1, "day": day}, "providers": {}}, tmp_path)
        for day in range(17)
    ]
    first = shelf.find(hashes[0])
    kept = [shelf.find(book_hash) for book_hash in hashes[1:]]
    assert shelf.find(hashes[1]) is kept[0]
    assert shelf.find(hashes[0]) is not first


def test_a_missing_book_is_logged_once_and_looked_for_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, book_hash = make_books(tmp_path / "elsewhere")
    shelf = BookShelf(tmp_path)
    shelf.find(book_hash)
    shelf.find(book_hash)
    assert len(caplog.records) == 1
    make_books(tmp_path)
    assert not isinstance(shelf.find(book_hash), MissingBook)
