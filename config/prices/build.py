"""Builds the committed price book from the two installed sources; `python main.py prices build`.

No network: both sources are files of installed development packages. A newer book is made by
raising their pins and AS_OF together, building, and reviewing the diff (one model a line).
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from config.clock import Clock
from config.prices import genai_listing, litellm_listing
from config.prices.agreement import TOLERANCE_PPM, merge_listings
from config.prices.document import (
    BOOK_PATH,
    SCHEMA,
    Document,
    book_hash,
    canonical_bytes,
)
from config.prices.genai_listing import GenaiPrices
from config.prices.history import (
    HISTORY_PATH,
    History,
    append_batch,
    book_of,
    changed_rows,
    read_history,
)
from config.prices.listing import BandKey
from config.prices.providers import BOOK_PROVIDERS, BookProvider

# The day whose prices are taken from a source with dated prices. A constant, never "today":
# the same sources must give the same bytes.
AS_OF = date(2026, 11, 25)


def build_book() -> Document:
    """What the installed sources say; ConfigError when one is not installed."""
    litellm_path, litellm_version = litellm_listing.find_price_file()
    genai_path, genai_version = genai_listing.find_price_file()
    litellm_data = litellm_path.read_bytes()
    models = litellm_listing.parse_price_file(litellm_data)
    genai = GenaiPrices(AS_OF)
    providers = {
        provider.name: build_provider(provider, models, genai) for provider in BOOK_PROVIDERS
    }
    sources = {
        litellm_listing.NAME: _source(litellm_path, litellm_data, litellm_version),
        genai_listing.NAME: _source(genai_path, genai_path.read_bytes(), genai_version),
    }
    header = {
        "schema": SCHEMA,
        "as_of": AS_OF.isoformat(),
        "currency": "USD",
        "unit": "pico-USD per token or apiece",
        "tolerance_ppm": TOLERANCE_PPM,
        "sources": sources,
    }
    return {"header": header, "providers": providers}


def build_provider(
    provider: BookProvider, models: dict[str, Any], genai: GenaiPrices
) -> dict[str, Any]:
    """One provider's models: litellm's names with genai's answer, then genai's remaining ones."""
    entries: dict[str, Any] = {}
    matched = litellm_listing.names_of_other_modes(models, provider)
    for name, listing in litellm_listing.list_models(models, provider).items():
        other = genai.find_model(provider.genai, name)
        if other is not None:
            matched.add(other.name)
        entries[name] = merge_listings(name, listing, other)
    for listing in genai.list_models(provider.genai):
        is_new = listing.name not in matched and listing.name not in entries
        is_chat = "output" in listing.bands.get(BandKey(), {})
        if is_new and is_chat and listing.name.startswith(provider.genai_only):
            entries[listing.name] = merge_listings(listing.name, None, listing)
    return entries


def write_book(
    clock: Clock, path: Path = BOOK_PATH, history_path: Path = HISTORY_PATH
) -> list[str]:
    """Builds the book, appends to the history what changed; returns rows on what was written.

    Sources that say nothing new change no byte of either file.
    """
    built = build_book()
    history = read_history(history_path) if history_path.exists() else History()
    changes = list(changed_rows(history, built["providers"], AS_OF))
    if changes:
        now = datetime.fromtimestamp(int(clock.now()), UTC)
        history = append_batch(history_path, changes, now, built["header"]["sources"])
    document = book_of(history, built["header"])
    data = canonical_bytes(document)
    path.write_bytes(data)
    header = document["header"]
    rows = [f"{path.name}: {len(data)} bytes, sha256 {book_hash(data)}, prices of {AS_OF}"]
    rows += [f"from {name} {source['version']}" for name, source in header["sources"].items()]
    rows += [f"{count} models {state}" for state, count in header["models"].items()]
    return [*rows, f"{len(changes)} models changed, batch {history.batches} of the history"]


def _source(path: Path, data: bytes, version: str) -> dict[str, str]:
    return {
        "version": version,
        "file": f"{path.parent.name}/{path.name}",
        "sha256": book_hash(data),
        "licence": "MIT",
    }
