"""The models of a book with their prices, as rows and by state; `python main.py prices list`."""

from collections.abc import Iterator, Mapping
from typing import Any

from config.prices.document import entry_state
from ledger.amounts import usd_text
from ledger.price_book import PriceBook
from ledger.price_report import per_million_usd

COLUMNS = ("model", "state", "input", "output", "cache read", "also")


def list_prices(book: PriceBook, provider: str = "", state: str = "") -> list[dict[str, Any]]:
    """One row a model; amounts are decimal text, USD per million tokens or apiece."""
    rows = (
        _row(name, model, entry)
        for name in book.known_providers()
        if provider in {"", name}
        for model in book.known_models(name)
        if (entry := book.find_entry(name, model)) is not None
    )
    return [row for row in rows if state in {"", row["state"]}]


def table_of(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The rows for a terminal, titles first; amounts are USD per million tokens."""
    return [list(COLUMNS), *(_cells(row) for row in rows)]


def _row(provider: str, model: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    first = entry["bands"][0] if entry["bands"] else {}
    price = first.get("price", {})
    return {
        "provider": provider,
        "model": model,
        "mode": entry.get("mode", "chat"),
        "state": entry_state(entry),
        "reason": first.get("reason", ""),
        "citation": entry.get("citation", ""),
        "usd_per_million": {bucket: per_million_usd(price[bucket]) for bucket in sorted(price)},
        "usd_per_unit": {
            unit: usd_text(stated["picousd"]) for unit, stated in entry.get("units", {}).items()
        },
        "bands": [_condition(band) for band in entry["bands"]],
    }


def _condition(band: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tier": band["tier"],
        "above_input_tokens": band["above_input_tokens"],
        "region": band.get("region", ""),
        "state": band["state"],
    }


def _cells(row: Mapping[str, Any]) -> list[str]:
    price = row["usd_per_million"]
    return [
        f"{row['provider']}/{row['model']}",
        row["state"],
        *(price.get(bucket, "-") for bucket in ("input", "output", "cache_read")),
        ", ".join(_further(row)),
    ]


def _further(row: Mapping[str, Any]) -> Iterator[str]:
    if len(row["bands"]) > 1:
        yield f"{len(row['bands'])} bands"
    units = row["usd_per_unit"]
    if len(units) == 1:
        yield from (f"{unit} {usd}" for unit, usd in units.items())
    elif units:
        yield f"{len(units)} units"
