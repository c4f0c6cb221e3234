"""What a public model costs at each upstream that serves it, quoted exactly as usage is rated.

Called by the admin API and `python main.py prices explain`, which know the targets.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.prices.document import PRICE_BUCKETS
from config.provider_kinds import MOCK_KIND
from ledger.amounts import usd_text
from ledger.price_book import PriceBook
from ledger.price_hosts import providers_for
from ledger.price_report import AGREED, book_line, entry_rows, explain, per_million_usd
from ledger.rating import Price, PriceState, Quote


@dataclass(frozen=True, slots=True)
class PricedTarget:
    """Where a model is served; `host` without port, `model` is the upstream's own name."""

    upstream: str
    kind: str
    host: str
    model: str
    is_private: bool


@dataclass(frozen=True, slots=True)
class TargetPrice:
    """A target with its quote; `provider` is whose list it is from, "" for nobody's."""

    target: PricedTarget
    quote: Quote
    provider: str
    reason: str

    def document(self) -> dict[str, Any]:
        """As JSON; prices are decimal text, USD per million tokens."""
        return {
            "upstream": self.target.upstream,
            "model": self.target.model,
            "host": "" if self.target.kind == MOCK_KIND else self.target.host,
            "state": self.quote.state.value,
            "source": self.quote.source,
            "provider": self.provider,
            "usd_per_million": _amounts(self.quote.price),
            "usd_per_unit": {unit: usd_text(each) for unit, each in self.quote.units.items()},
            "reason": self.reason,
        }


def price_targets(book: PriceBook, targets: Iterable[PricedTarget]) -> list[TargetPrice]:
    """Each target's quote and why it is what it is."""
    return [_price(book, target) for target in targets]


def explain_model(
    book: PriceBook, name: str, prices: Sequence[TargetPrice], public_names: Iterable[str]
) -> list[str]:
    """Rows on a public model, target by target; on any other name what the book says of it."""
    if not prices:
        return _not_served_rows(book, name, public_names)
    count = "1 target" if len(prices) == 1 else f"{len(prices)} targets, tried in this order"
    rows = [f"{name}: {count}"]
    for place, price in enumerate(prices, 1):
        rows += _target_rows(place, name, price)
    return [*rows, "", *_listings(book, prices), book_line(book)]


def _price(book: PriceBook, target: PricedTarget) -> TargetPrice:
    quote = book.quote(target.upstream, target.kind, target.host, target.model)
    provider = _provider_of(book, target) if quote.source == "book" else ""
    return TargetPrice(target, quote, provider, _reason(book, target, quote))


def _reason(book: PriceBook, target: PricedTarget, quote: Quote) -> str:
    if quote.source == "override":
        citation = book.find_overrides(target.model)[target.upstream]["citation"]
        cited = (
            f", citing {citation}" if citation else " without a citation, which is needed to agree"
        )
        return f"declared in apex.yaml{cited}"
    if quote.source == "book":
        return quote.reason or AGREED
    providers = providers_for(target.kind, target.host)
    if providers:
        return f"{' and '.join(providers)} list no model {target.model}, and no price is declared"
    if target.is_private:
        return f"{target.host} is a private host without a declared price"
    return f"no price list is known for {target.host}, and no price is declared"


def _provider_of(book: PriceBook, target: PricedTarget) -> str:
    """Whose list the quote is from: the first that has the model, as the book itself looks."""
    providers = providers_for(target.kind, target.host)
    quotes = {each: book.quote("", each, "", target.model) for each in providers}
    return next((each for each, quote in quotes.items() if quote.source == "book"), "")


def _target_rows(place: int, name: str, price: TargetPrice) -> Iterator[str]:
    target, quote = price.target, price.quote
    where = f"{target.upstream} ({'mock' if target.kind == MOCK_KIND else target.host})"
    source = f", list price of {price.provider}" if price.provider else ""
    yield f"  {place}. {target.model} on {where}: {quote.state.value}{source}: {price.reason}"
    if quote.state is PriceState.unknown:
        yield f"     declare one in apex.yaml: models.{name}.price, or price of this upstream in it"
    else:
        amounts = _amounts(quote.price).items()
        if amounts:
            yield f"     USD per million: {', '.join(f'{key} {amount}' for key, amount in amounts)}"
        if quote.units:
            units = (f"{unit} {usd_text(each)}" for unit, each in quote.units.items())
            yield f"     USD apiece: {', '.join(units)}"


def _listings(book: PriceBook, prices: Sequence[TargetPrice]) -> Iterator[str]:
    """What the sources say, once for each entry of the book that a quote is from."""
    for provider, model in dict.fromkeys((each.provider, each.target.model) for each in prices):
        listed = model.removeprefix("models/").removeprefix(f"{provider}/")
        for spelling in dict.fromkeys((model, listed)):
            entry = book.find_entry(provider, spelling)
            if entry is not None:
                yield from entry_rows(f"{provider}/{spelling}", entry, book.header())
                break


def _not_served_rows(book: PriceBook, name: str, public_names: Iterable[str]) -> list[str]:
    rows = explain(book, name, public_names)
    return [*rows, f"no public model here is called {name}: this is the price book alone"]


def _amounts(price: Price | None) -> Mapping[str, str]:
    if price is None:
        return {}
    stated = ((bucket, getattr(price, bucket)) for bucket in PRICE_BUCKETS)
    return {bucket: per_million_usd(amount) for bucket, amount in stated if amount is not None}
