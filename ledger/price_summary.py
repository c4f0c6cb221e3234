"""The price report: what is agreed, what is disputed and why; docs/price-report.md (pure)."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from config.prices.document import entry_state
from ledger.price_book import PriceBook

_INTRO = """# The price report

Made by `python main.py prices report > docs/price-report.md` from the shipped book; do not edit.

Agreed: two independent sources say the same within 0.5%, or a person reviewed the price and cites
the provider's page. Disputed: the higher amount is shown and used, and nothing is credited as
saved. Unknown is what is not listed here: a model, a kind of token or a unit without a price, and
every private server without a declared one; its cost is shown as unknown, never as zero. The
sources list no prices for video, reranking, search and OCR models in a form the book takes."""


def report_rows(book: PriceBook) -> list[str]:
    """The lines of the report."""
    header = book.header()
    entries = dict(_entries(book))
    return [
        *_INTRO.splitlines(),
        "",
        f"Prices of {header['as_of']}; sources: "
        + ", ".join(f"{name} {each['version']}" for name, each in header["sources"].items())
        + ".",
        "",
        *_totals(entries),
        "",
        "## Why prices are disputed",
        "",
        *_reasons(entries),
        "",
        "## Disputed models",
        "",
        "Of the price in ordinary service: standard tier, below every threshold, no region.",
        "",
        *_disputed(entries),
        "",
        "## Reviewed prices",
        "",
        *_reviewed(entries),
    ]


def _entries(book: PriceBook) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for provider in book.known_providers():
        for model in book.all_entries(provider):
            yield (provider, model), book.find_entry(provider, model) or {}


def _totals(entries: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    models: Counter[tuple[str, str]] = Counter()
    bands: Counter[tuple[str, str]] = Counter()
    units: Counter[tuple[str, str]] = Counter()
    for (provider, _), entry in entries.items():
        for name in (provider, "all"):
            models[name, entry_state(entry)] += 1
            bands.update((name, band["state"]) for band in entry["bands"])
            units.update((name, stated["state"]) for stated in entry.get("units", {}).values())
    titles = ("models agreed", "disputed", "bands agreed", "disputed", "units agreed", "disputed")
    yield "| provider | " + " | ".join(titles) + " |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name in [*sorted({provider for provider, _ in entries}), "all"]:
        counts = (each[name, state] for each in (models, bands, units)
                  for state in ("agreed", "disputed"))  # fmt: skip
        yield f"| {name} | " + " | ".join(map(str, counts)) + " |"


def _reasons(entries: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    reasons: Counter[str] = Counter()
    for entry in entries.values():
        for band in entry["bands"]:
            if band["state"] == "disputed":
                reasons.update(part.partition(":")[0] for part in band["reason"].split("; "))
        reasons["a unit that one source lists, or both otherwise"] += sum(
            stated["state"] == "disputed" for stated in entry.get("units", {}).values()
        )
    yield "| reason | bands or units |"
    yield "|---|---:|"
    for reason, count in reasons.most_common():
        yield f"| {reason} | {count} |"


def _disputed(entries: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (provider, model), entry in entries.items():
        if entry_state(entry) == "disputed":
            reason = entry["bands"][0]["reason"] if entry["bands"] else "priced by unit"
            by_reason[provider, reason].append(model)
    yield "| provider | why | models |"
    yield "|---|---|---|"
    for (provider, reason), models in sorted(by_reason.items()):
        yield f"| {provider} | {reason} | {', '.join(f'`{model}`' for model in models)} |"


def _reviewed(entries: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    yield "| model | source |"
    yield "|---|---|"
    for (provider, model), entry in entries.items():
        if entry.get("citation"):
            yield f"| {provider}/`{model}` | {entry['citation']} |"
