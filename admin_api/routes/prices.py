"""GET /admin/v1/prices/{model}: what a model costs here, and where that price comes from."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from admin_api.calls import Answer, Call, Route
from admin_api.permissions import Permission
from ledger.events import UNKNOWN_HOST
from ledger.price_book import PriceBook
from ledger.target_report import PricedTarget, explain_model, price_targets
from policies.snapshot import Target, Upstream

Models = Mapping[str, tuple[Target, ...]]
Upstreams = Mapping[str, Upstream]


class TargetPrice(BaseModel):
    """What a model costs at one upstream; amounts are decimal text."""

    upstream: str
    model: str
    host: str
    state: str = Field(description="agreed, disputed or unknown.")
    source: str = Field(description="book, override, or empty for none.")
    provider: str
    usd_per_million: dict[str, str]
    usd_per_unit: dict[str, str]
    reason: str


class ModelPrice(BaseModel):
    """A public model at each upstream that serves it, in order, by the book in force."""

    model: str
    price_book: str = Field(description="SHA-256 of the book.")
    targets: list[TargetPrice]
    rows: list[str] = Field(description="The same for people.")


async def show_price(call: Call) -> Answer:
    """The rows of `prices explain` and each target, by the snapshot and the book in force."""
    context, snapshot = call.context, call.context.snapshot()
    book, model = context.price_book(), call.path["model"]
    answer = answer_price(book, snapshot.upstreams, snapshot.models, model)
    return Answer(ModelPrice.model_validate(answer))


def answer_price(
    book: PriceBook, upstreams: Upstreams, models: Models, model: str
) -> dict[str, Any]:
    """`targets` is empty for a name that no public model has; `rows` then explain the book."""
    prices = price_targets(book, list_targets(upstreams, models.get(model, ())))
    return {
        "model": model,
        "price_book": book.hash,
        "targets": [price.document() for price in prices],
        "rows": explain_model(book, model, prices, models),
    }


def list_targets(upstreams: Upstreams, targets: tuple[Target, ...]) -> Iterator[PricedTarget]:
    """The targets as the price book asks for them."""
    for target in targets:
        upstream = upstreams[target.upstream]
        yield PricedTarget(
            upstream=upstream.name,
            kind=upstream.kind,
            host=urlsplit(upstream.base_url).hostname or UNKNOWN_HOST,
            model=target.model,
            is_private=upstream.allow_private,
        )


ROUTES = (
    Route("GET", "/admin/v1/prices/{model:.+}", show_price, Permission.catalogue_read,
          "Show what a model costs", answer=ModelPrice),
)  # fmt: skip
