"""The price book as its readers see it: one quote per upstream and model, nothing computed.

Loaded by the proxy at start and at every snapshot, by the shipper for each hash it meets. The
document's form is described in config.prices.document. Effective books (the shipped one plus the
operator's own prices) are made by the control process and kept by their hash.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Protocol

import orjson

from config.errors import ConfigError
from config.files import write_atomically
from config.prices.document import (
    BOOK_PATH,
    READABLE_SCHEMAS,
    TOOLS_ENTRY,
    Document,
    book_hash,
    canonical_bytes,
    index_rows,
)
from ledger.price_bands import AS_USUAL, BandedPrice, QuoteLadder, Service, override_quote
from ledger.price_hosts import OWN_KEY_MARK, providers_for, region_of
from ledger.rating import Price, PriceState, Quote

_UNKNOWN = Quote(PriceState.unknown, None, "none", reason="no price is listed or declared")
_HASH_LENGTH = 64
_MOST_FOUND = 1024
_LONGEST_KEPT_NAME = 256
_REBUILD_HINT = "restore it from the release, or rebuild it: python main.py prices build"


class DeclaredPrice(Protocol):
    """What an operator declares in apex.yaml: USD per million tokens."""

    @property
    def input_per_million_usd(self) -> Decimal: ...
    @property
    def output_per_million_usd(self) -> Decimal: ...
    @property
    def cache_read_per_million_usd(self) -> Decimal | None: ...
    @property
    def cache_write_per_million_usd(self) -> Decimal | None: ...


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Tokens a model takes and gives, and what it can do; None where no source says."""

    context: int | None
    max_output: int | None
    has_tools: bool
    has_vision: bool


class PriceBook:
    """A book in memory: rows of text, each parsed when its model is first asked for."""

    def __init__(self, data: bytes) -> None:
        """ValueError when `data` is not a canonical document of a schema this version reads."""
        self.hash = book_hash(data)
        self._rows = index_rows(data)
        if self.header().get("schema") not in READABLE_SCHEMAS:
            raise ValueError("not a price book of a schema this version reads")
        self._overrides: dict[tuple[str, ...], Quote] = {}
        self._bands: dict[tuple[str, ...], BandedPrice] = {}
        self._found: dict[tuple[object, ...], QuoteLadder] = {}

    def quote(
        self,
        upstream: str,
        upstream_kind: str,
        base_url_host: str,
        model: str,
        service: Service = AS_USUAL,
    ) -> Quote:
        """The price of `model` (the upstream's own name) as served at this upstream; never raises.

        The operator's price wins over the book's, for every tier, threshold and region.
        """
        tiers, input_tokens, region = service
        asked = (upstream, upstream_kind, base_url_host, model, tiers, region)
        found = self._found.get(asked)
        if found is None:
            found = self._find(upstream, upstream_kind, base_url_host, model, service)
            if len(self._found) >= _MOST_FOUND:  # names are what upstreams say: without end
                self._found.clear()
            if len(model) <= _LONGEST_KEPT_NAME:
                self._found[asked] = found
        return found.quote(input_tokens)

    def _find(
        self, upstream: str, upstream_kind: str, base_url_host: str, model: str, service: Service
    ) -> QuoteLadder:
        declared = self._override_at(("overrides", upstream, model))
        if declared is None and OWN_KEY_MARK in upstream:  # a tenant's key at this very upstream
            shared = upstream.partition(OWN_KEY_MARK)[2]
            declared = self._override_at(("overrides", shared, model))
        if declared is not None:
            return QuoteLadder(lambda _: declared)
        region = region_of(upstream_kind, base_url_host, service.region)
        for provider in providers_for(upstream_kind, base_url_host):
            for name in _names_of(provider, model):
                bands = self._bands_at(("providers", provider, name))
                if bands is not None:
                    return bands.ladder(service._replace(region=region))
        return QuoteLadder(lambda _: _UNKNOWN)

    def quote_tools(self, upstream_kind: str, base_url_host: str) -> Quote:
        """What the provider takes for its tools whatever the model is, in `units`."""
        for provider in providers_for(upstream_kind, base_url_host):
            bands = self._bands_at(("providers", provider, TOOLS_ENTRY))
            if bands is not None:
                return bands.quote(AS_USUAL)
        return _UNKNOWN

    def known_models(self, provider: str) -> list[str]:
        """The provider's models in the book, sorted; empty for an unknown provider."""
        return [name for name in self.all_entries(provider) if name != TOOLS_ENTRY]

    def known_providers(self) -> list[str]:
        """The providers in the book, sorted."""
        return sorted({path[1] for path in self._rows if path[0] == "providers"})

    def model_limits(self, provider: str, model: str) -> ModelLimits | None:
        """What the model can take and give; None when the book does not know it."""
        for name in _names_of(provider, model):
            entry = self.find_entry(provider, name)
            if entry is not None:
                limits = entry.get("limits", {})
                return ModelLimits(
                    context=limits.get("context"),
                    max_output=limits.get("max_output"),
                    has_tools=limits.get("tools", False),
                    has_vision=limits.get("vision", False),
                )
        return None

    def find_entry(self, provider: str, model: str) -> dict[str, Any] | None:
        """The document's entry as it stands, for reports; see config.prices.document."""
        return self._parsed(("providers", provider, model))

    def all_entries(self, provider: str) -> list[str]:
        """The provider's models and TOOLS_ENTRY, where its tools have prices; sorted."""
        return sorted(path[2] for path in self._rows if path[:2] == ("providers", provider))

    def overrides(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The operator's own prices by (upstream, model)."""
        paths = [path for path in self._rows if path[0] == "overrides"]
        return {(path[1], path[2]): orjson.loads(self._rows[path]) for path in paths}

    def find_overrides(self, model: str) -> dict[str, dict[str, Any]]:
        """The operator's own prices of a model, by upstream."""
        paths = [path for path in self._rows if path[0] == "overrides" and path[-1] == model]
        return {path[1]: orjson.loads(self._rows[path]) for path in paths}

    def header(self) -> dict[str, Any]:
        """Schema, day, sources with version and sha256, counts."""
        header: dict[str, Any] = orjson.loads(self._rows.get(("header",), b"{}"))
        return header

    def _override_at(self, path: tuple[str, str, str]) -> Quote | None:
        quote = self._overrides.get(path)
        if quote is None and path in self._rows:
            quote = self._overrides[path] = override_quote(orjson.loads(self._rows[path]))
        return quote

    def _bands_at(self, path: tuple[str, str, str]) -> BandedPrice | None:
        bands = self._bands.get(path)
        if bands is None and path in self._rows:
            # Bounded by the book: unknown names are not kept.
            bands = self._bands[path] = BandedPrice(orjson.loads(self._rows[path]))
        return bands

    def _parsed(self, path: tuple[str, str, str]) -> dict[str, Any] | None:
        row = self._rows.get(path)
        return orjson.loads(row) if row is not None else None


def load_price_book(path: Path = BOOK_PATH) -> PriceBook:
    """Reads a book; ConfigError when it is missing, damaged, or not what its name's hash says."""
    try:
        book = PriceBook(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"price book {path} cannot be read: {error}", _REBUILD_HINT) from error
    if len(path.stem) == _HASH_LENGTH and path.stem != book.hash:
        raise ConfigError(
            f"price book {path} is damaged: its content has the hash {book.hash}",
            "delete the file; the control process writes it anew at its next start",
        )
    return book


def build_effective_book(
    base: Document,
    overrides: Mapping[tuple[str, str], Price],
    citations: Mapping[tuple[str, str], str] | None = None,
) -> Document:
    """The base document with the operator's prices, keyed (upstream, the upstream's model name).

    Without overrides it is the base itself, hash and all.
    """
    if not overrides:
        return base
    declared: dict[str, dict[str, Any]] = {}
    for (upstream, model), price in overrides.items():
        amounts = {field: value for field, value in asdict(price).items() if value is not None}
        citation = (citations or {}).get((upstream, model), "")
        declared.setdefault(upstream, {})[model] = {"citation": citation, "price": amounts}
    return {**base, "overrides": declared}


def write_price_book(document: Document, directory: Path) -> str:
    """Keeps a book as {directory}/{hash}.json, once; returns the hash."""
    data = canonical_bytes(document)
    path = directory / f"{book_hash(data)}.json"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data, is_durable=True)
    return path.stem


def declared_price(declared: DeclaredPrice) -> Price:
    """An operator's USD per million tokens as pico-USD per token, half to even.

    Images count as input text and both kinds of cache write cost the same: one rate is declared.
    """
    text = _picousd(declared.input_per_million_usd)
    write = _picousd(declared.cache_write_per_million_usd)
    return Price(
        input=text,
        output=_picousd(declared.output_per_million_usd),
        cache_read=_picousd(declared.cache_read_per_million_usd),
        cache_write_5m=write,
        cache_write_1h=write,
        image_input=text,
    )


def _picousd(usd_per_million: Decimal | None) -> int | None:
    if usd_per_million is None:
        return None
    return int((usd_per_million * 10**6).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _names_of(provider: str, model: str) -> Iterator[str]:
    """The spellings a model may be in the book under: as sent, without a prefix, a fine-tune's."""
    yield model
    yield model.removeprefix("models/").removeprefix(f"{provider}/")
    if model.startswith("ft:"):
        yield ":".join(model.split(":")[:2])  # ft:<model>:<organisation>::<id>
