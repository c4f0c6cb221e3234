"""Appends reviewed prices to the history and makes the book anew; `prices update --file`.

What is in force changes with the next snapshot: the control process reads the book at its start.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from config.clock import Clock
from config.errors import ConfigError
from config.files import write_atomically
from config.prices.document import BOOK_PATH, book_hash, canonical_bytes, read_document
from config.prices.history import HISTORY_PATH, append_batch, book_of, read_history
from config.prices.reviewing import read_review


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the shipped prices lie."""

    book: Path = BOOK_PATH
    history: Path = HISTORY_PATH


def update_prices(file: Path, clock: Clock, shelf: Shelf = Shelf()) -> list[str]:
    """Rows on what was done; ConfigError before anything is written, or when it cannot be."""
    document = read_document(shelf.book)
    history = read_history(shelf.history)
    if document["header"].get("history") != history.hash:
        raise ConfigError(
            f"{shelf.book} was not made from {shelf.history}",
            "restore both from the release, or make the book again: python main.py prices build",
        )
    review = read_review(file, document)
    now = datetime.fromtimestamp(int(clock.now()), UTC)
    sources = {"review": {"citation": review.citation, "sha256": book_hash(file.read_bytes())}}
    # The book is that of the day its newest price holds from, so that building it repeats.
    today, made = now.date().isoformat(), document["header"]["as_of"]
    day = max([made, *(row.valid_from for row in review.rows if row.valid_from <= today)])
    try:
        history = append_batch(shelf.history, review.rows, now, sources)
        data = canonical_bytes(book_of(history, {**document["header"], "as_of": day}))
        write_atomically(shelf.book, data, is_durable=True)
    except OSError as error:
        raise ConfigError(
            f"the prices cannot be written: {error}",
            "run this where the release's files may be changed, then deploy them",
        ) from error
    later = sum(row.valid_from > day for row in review.rows)
    return [
        f"{len(review.rows)} prices appended, batch {history.batches} of the history",
        f"book {book_hash(data)}, prices of {date.fromisoformat(day)}",
        *([f"{later} of them begin later: the book of that day will have them"] if later else []),
        f"before {book_hash(canonical_bytes(document))}",
    ]
