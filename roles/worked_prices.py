"""A cost worked out for a model and a usage that were given; `prices explain MODEL --tier ...`."""

import argparse
from collections.abc import Iterator
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.operator_model import OperatorConfig
from ledger.end_rating import Used
from ledger.events import UNKNOWN_HOST
from ledger.price_bands import Service, tiers_of
from ledger.price_book import PriceBook
from ledger.price_worked import worked_rows
from ledger.rating import TokenBuckets
from policies.catalogue import build_models, build_upstreams

Place = tuple[str, str, str, str]  # upstream, kind, host, the upstream's own model name


def is_worked(arguments: argparse.Namespace) -> bool:
    """Whether the command gave a usage to work out."""
    return bool(_buckets(arguments).total_input or arguments.output_tokens or arguments.unit)


def work_out(book: PriceBook, operator: OperatorConfig, arguments: argparse.Namespace) -> list[str]:
    """The products and the sum, for every target of a public model, else for every list with it."""
    used = Used(_buckets(arguments), dict(_units(arguments.unit)))
    tiers = tiers_of(arguments.tier)
    rows: list[str] = []
    for title, place, region in _places(book, operator, arguments.model):
        service = Service(tiers, used.buckets.total_input, arguments.region or region)
        tools = book.quote_tools(*place[1:3])
        rows += worked_rows(title, book.quote(*place, service), tools, used)
    return rows


def _places(
    book: PriceBook, operator: OperatorConfig, model: str
) -> Iterator[tuple[str, Place, str]]:
    upstreams = build_upstreams(operator)
    targets = build_models(operator, book).get(model, ())
    for target in targets:
        upstream = upstreams[target.upstream]
        host = urlsplit(upstream.base_url).hostname or (
            "" if not upstream.base_url else UNKNOWN_HOST
        )
        place = (upstream.name, upstream.kind, host, target.model)
        yield f"{target.model} on {upstream.name}", place, upstream.region
    if not targets:
        for provider in book.known_providers():
            name = model.removeprefix(f"{provider}/")
            if name in book.known_models(provider):
                yield f"{provider}/{name}", ("", provider, "", name), ""


def _buckets(arguments: argparse.Namespace) -> TokenBuckets:
    return TokenBuckets(
        input_tokens=arguments.input_tokens,
        cache_read_tokens=arguments.cached_tokens,
        cache_write_5m_tokens=arguments.cache_write_tokens,
        output_tokens=arguments.output_tokens,
    )


def _units(words: list[str]) -> Iterator[tuple[str, int]]:
    for word in words:
        name, _, count = word.rpartition("=")
        if not name or not count.isdecimal() or len(count) > 9:
            raise ConfigError(f"{word} is no unit", "write NAME=COUNT: web_search_calls=2")
        yield name, int(count)
