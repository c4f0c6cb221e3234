"""Which public model names there are, who serves each, and at which declared prices (control only).

Called by the snapshot builder with the checked apex.yaml and the price book.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.operator_model import OperatorConfig, PriceOverride, UpstreamConfig
from config.prices.document import Document
from config.provider_kinds import MOCK_KIND
from config.yaml_loading import KeyPath, format_path
from ledger.price_book import (
    PriceBook,
    build_effective_book,
    declared_price,
    load_price_book,
    write_price_book,
)
from ledger.price_hosts import providers_for
from policies.snapshot import Target, Upstream

Place = tuple[str, str]  # upstream, the upstream's own name of the model


def build_upstreams(operator: OperatorConfig) -> dict[str, Upstream]:
    """The declared upstreams, with "" for what they leave out."""
    return {name: _build_upstream(name, each) for name, each in operator.upstreams.items()}


def _build_upstream(name: str, declared: UpstreamConfig) -> Upstream:
    return Upstream(
        name=name,
        kind=declared.kind,
        base_url=declared.base_url or "",
        api_key=declared.api_key or "",
        allow_private=declared.allow_private,
        region=declared.region or "",
        stream_usage=declared.stream_usage,
        is_simulated=declared.kind == MOCK_KIND,
        api_version=declared.api_version or "",
        plays=declared.plays,
    )


def build_models(operator: OperatorConfig, prices: PriceBook) -> dict[str, tuple[Target, ...]]:
    """Public names to targets in order of preference; what is declared wins over the catalogue.

    The catalogue is what the price book lists for the provider behind default_upstream. Servers
    under an address of their own have none: nobody but the operator knows what runs there.
    """
    models = _implicit_models(operator, prices)
    for name, declared in operator.models.items():
        models[name] = tuple(
            Target(upstream=each.upstream, model=each.model or name) for each in declared.upstreams
        )
    return models


def _implicit_models(operator: OperatorConfig, prices: PriceBook) -> dict[str, tuple[Target, ...]]:
    name = operator.default_upstream
    if name is None:
        return {}
    declared = operator.upstreams[name]
    host = urlsplit(declared.base_url or "").netloc
    return {
        model: (Target(upstream=name, model=model),)
        for provider in providers_for(declared.kind, host)
        for model in prices.known_models(provider)
    }


@dataclass(frozen=True, slots=True)
class PriceConflict:
    """A second price of one target: where it is declared, and what to say about it."""

    path: KeyPath
    message: str
    hint: str = "one model of one upstream costs the same under every public name: keep one"


def find_price_conflict(operator: OperatorConfig) -> PriceConflict | None:
    """The first price that contradicts an earlier one."""
    seen: dict[Place, PriceOverride] = {}
    for path, place, price in declared_prices(operator):
        if seen.setdefault(place, price) != price:
            return PriceConflict(path, f"{place[1]!r} on upstream {place[0]!r} has two prices")
    return None


def declared_prices(operator: OperatorConfig) -> Iterator[tuple[KeyPath, Place, PriceOverride]]:
    """The prices of apex.yaml: (key path, target, price)."""
    for name, model in operator.models.items():
        for index, target in enumerate(model.upstreams):
            place = (target.upstream, target.model or name)
            if target.price is not None:
                yield ("models", name, "upstreams", index, "price"), place, target.price
            elif model.price is not None:
                yield ("models", name, "price"), place, model.price


def write_effective_book(
    operator: OperatorConfig,
    base: Document,
    directory: Path,
    stored: Mapping[Place, PriceOverride] | None = None,
) -> PriceBook:
    """The shipped prices with the operator's own on top, kept as {directory}/{hash}.json.

    `stored` are those of the admin API; what apex.yaml declares wins.
    """
    conflict = find_price_conflict(operator)
    if conflict is not None:
        raise ConfigError(f"{format_path(conflict.path)}: {conflict.message}", conflict.hint)
    declared = {place: price for _, place, price in declared_prices(operator)}
    prices = {**(stored or {}), **declared}
    overrides = {place: declared_price(price) for place, price in prices.items()}
    citations = {place: price.citation or "" for place, price in prices.items()}
    book_hash = write_price_book(build_effective_book(base, overrides, citations), directory)
    return load_price_book(directory / f"{book_hash}.json")
