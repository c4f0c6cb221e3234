"""A cost worked out line by line, as the ledger does it (pure); see roles.worked_prices."""

from collections.abc import Iterator

from ledger.amounts import usd_text
from ledger.end_rating import Used, cost_of
from ledger.price_report import per_million_usd
from ledger.rating import Quote
from ledger.unit_rating import charged_units, unit_price


def worked_rows(title: str, quote: Quote, tools: Quote, used: Used) -> list[str]:
    """Every product that goes into the cost, and the sum the one calculator gives."""
    cost = cost_of(used, quote, tools)
    total = "unknown" if cost.picousd is None else f"{usd_text(cost.picousd)} USD"
    reason = f" ({quote.reason})" if quote.reason else ""
    return [
        f"worked for {title}{reason}",
        *_token_rows(quote, used),
        *_unit_rows((quote, tools), used),
        f"  total {total}, {cost.state.value}",
    ]


def _token_rows(quote: Quote, used: Used) -> Iterator[str]:
    tariff = quote.price.tariff if quote.price else (None,) * len(used.buckets)
    for (name, tokens), amount in zip(used.buckets._asdict().items(), tariff, strict=True):
        if tokens and amount is None:
            yield f"  {tokens} {name}: no price"
        elif tokens and amount is not None:
            cost = usd_text(tokens * amount)
            yield f"  {tokens} {name} x {per_million_usd(amount)} per million = {cost} USD"


def _unit_rows(quotes: tuple[Quote, Quote], used: Used) -> Iterator[str]:
    charged = charged_units(used.units, quotes[0], has_tokens=any(used.buckets))
    for unit, count in charged.items():
        found = next(filter(None, (unit_price(quote.units, unit) for quote in quotes)), None)
        if found is None:
            yield f"  {count} {unit}: no price"
        else:
            yield f"  {count} {unit} x {usd_text(found[0])} = {usd_text(count * found[0])} USD"
