"""GET /admin/v1/prices/{model}: what a model costs here, and where that price comes from."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from admin_api.answers import json_response
from admin_api.context import CONTEXT
from ledger.events import UNKNOWN_HOST
from ledger.price_book import PriceBook
from ledger.target_report import PricedTarget, explain_model, price_targets
from policies.snapshot import Target, Upstream

Models = Mapping[str, tuple[Target, ...]]
Upstreams = Mapping[str, Upstream]


async def show_price(request: web.Request) -> web.Response:
    """The rows of `prices explain` and each target, by the snapshot and the book in force."""
    context = request.app[CONTEXT]
    snapshot, model = context.snapshot(), request.match_info["model"]
    book = context.price_book()
    return json_response(answer_price(book, snapshot.upstreams, snapshot.models, model))


def answer_price(
    book: PriceBook, upstreams: Upstreams, models: Models, model: str
) -> dict[str, Any]:
    """`targets` is empty for a name that no public model has; `rows` then explain the book."""
    prices = price_targets(book, _list_targets(upstreams, models.get(model, ())))
    return {
        "model": model,
        "price_book": book.hash,
        "targets": [price.document() for price in prices],
        "rows": explain_model(book, model, prices, models),
    }


def _list_targets(upstreams: Upstreams, targets: tuple[Target, ...]) -> Iterator[PricedTarget]:
    for target in targets:
        upstream = upstreams[target.upstream]
        yield PricedTarget(
            upstream=upstream.name,
            kind=upstream.kind,
            host=urlsplit(upstream.base_url).hostname or UNKNOWN_HOST,
            model=target.model,
            is_private=upstream.allow_private,
        )
