"""Which public model names there are, who serves each, and at which declared prices (control only).

Called by the snapshot builder with the checked apex.yaml and the price book.
"""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.operator_model import ModelConfig, OperatorConfig, PriceOverride, UpstreamConfig
from config.prices.document import Document
from config.provider_kinds import MOCK_KIND
from ledger.price_book import (
    PriceBook,
    build_effective_book,
    declared_price,
    load_price_book,
    write_price_book,
)
from ledger.price_hosts import providers_for
from policies.snapshot import Target, Upstream


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


@dataclass(slots=True)
class DeclaredPrices:
    """The prices of apex.yaml by (upstream, the upstream's own model name)."""

    by_target: dict[tuple[str, str], PriceOverride] = field(default_factory=dict)

    def add_model(self, name: str, model: ModelConfig) -> None:
        """Takes in one public model. Raises ConfigError when a price contradicts an earlier one."""
        for target in model.upstreams:
            price = target.price or model.price
            if price is None:
                continue
            place = (target.upstream, target.model or name)
            if self.by_target.setdefault(place, price) != price:
                raise ConfigError(
                    f"models.{name}: {place[1]!r} on upstream {place[0]!r} has two prices",
                    "one model of one upstream costs the same under every public name: keep one",
                )


def write_effective_book(operator: OperatorConfig, base: Document, directory: Path) -> PriceBook:
    """The shipped prices with the operator's own on top, kept as {directory}/{hash}.json."""
    declared = DeclaredPrices()
    for name, model in operator.models.items():
        declared.add_model(name, model)
    overrides = {place: declared_price(price) for place, price in declared.by_target.items()}
    citations = {place: price.citation or "" for place, price in declared.by_target.items()}
    book_hash = write_price_book(build_effective_book(base, overrides, citations), directory)
    return load_price_book(directory / f"{book_hash}.json")
