"""What two price books say otherwise; `python main.py prices diff OLD [NEW]` (pure)."""

from collections.abc import Iterator, Mapping
from typing import Any

from ledger.amounts import usd_text
from ledger.price_book import PriceBook
from ledger.price_report import condition_text, per_million_usd

COLUMNS = ("model", "what", "old", "new")


def diff_books(old: PriceBook, new: PriceBook) -> list[tuple[str, str, str, str]]:
    """(provider/model, what, old, new) of every difference, sorted; "-" for what is not there.

    Amounts are decimal text, USD per million tokens or apiece.
    """
    before, after = _facts(old), _facts(new)
    return [
        (*key, before.get(key, "-"), after.get(key, "-"))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def _facts(book: PriceBook) -> dict[tuple[str, str], str]:
    facts: dict[tuple[str, str], str] = {}
    for provider in book.known_providers():
        for model in book.all_entries(provider):
            entry = book.find_entry(provider, model) or {}
            facts |= {(f"{provider}/{model}", what): value for what, value in _of_entry(entry)}
    for place, entry in book.overrides().items():
        facts |= {("/".join(place), what): value for what, value in _of_override(entry)}
    return facts


def _of_entry(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for band in entry["bands"]:
        condition = condition_text(band)
        yield f"{condition}: state", band["state"]
        for bucket, amount in band["price"].items():
            yield f"{condition}: {bucket}", per_million_usd(amount)
    for unit, stated in entry.get("units", {}).items():
        yield f"apiece: {unit}", f"{usd_text(stated['picousd'])} ({stated['state']})"


def _of_override(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for bucket, amount in entry["price"].items():
        yield f"declared: {bucket}", per_million_usd(amount)
    yield "declared: citation", entry["citation"] or "none"
