"""What one END cost and what the request would have cost as asked for (pure, integer pico-USD).

Called by ledger.usage_row for every END that is shipped.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from ledger.events import TOKEN_BUCKETS, UNKNOWN_HOST
from ledger.price_bands import Service, tiers_of
from ledger.rating import PriceState, Quote, TokenBuckets, cost_picousd, state_for
from ledger.unit_rating import charged_units, units_cost

SERVED_FREE = frozenset({"hit", "coalesced"})
_COUNTED_SOURCES = frozenset({"provider", "cache"})
_INT64_MAX = 2**63 - 1
_BY_DOUBT = tuple(PriceState)
_AGREED = PriceState.agreed
_buckets_of = itemgetter(*TOKEN_BUCKETS)


class Quoting(Protocol):
    """The part of a price book that rating needs."""

    def quote(
        self,
        upstream: str,
        upstream_kind: str,
        base_url_host: str,
        model: str,
        service: Service = ...,
    ) -> Quote: ...

    def quote_tools(self, upstream_kind: str, base_url_host: str) -> Quote: ...


class Used(NamedTuple):
    """What an attempt used: disjoint token buckets, and units that are paid by the piece."""

    buckets: TokenBuckets
    units: Mapping[str, int]


class Amount(NamedTuple):
    """Pico-USD, None when unknown, and how far it can be trusted."""

    picousd: int | None
    state: PriceState


UNKNOWN = Amount(None, PriceState.unknown)
NOTHING = Amount(0, PriceState.agreed)


class RatedEnd(NamedTuple):
    """`gross_baseline` belongs to the request and is therefore on its final END only."""

    cost: Amount
    gross_baseline: Amount


def buckets_in(end: Mapping[str, Any]) -> TokenBuckets:
    """The token buckets of an END."""
    return tuple.__new__(TokenBuckets, _buckets_of(end))


def rate_end(book: Quoting, end: Mapping[str, Any]) -> RatedEnd:
    """Rate an END as the log has it. Answers from the cache cost nothing, and save the baseline."""
    source = end["usage_source"]
    is_free = end["cache"] in SERVED_FREE or source == "none"
    served = None
    if source in _COUNTED_SOURCES:
        used = Used(buckets_in(end), end.get("units") or {})
        served = _served_cost(book, end, used)
    cost = NOTHING if is_free else UNKNOWN if served is None else served
    if not end["is_final"] or source == "none":
        return RatedEnd(cost, NOTHING)
    if served is None:
        return RatedEnd(cost, UNKNOWN)
    return RatedEnd(cost, served if _is_served_as_asked(end) else _baseline_cost(book, end, used))


def cost_of(used: Used, quote: Quote, tools: Quote | None = None) -> Amount:
    """The one calculator: tokens and units by a quote; tools also by their provider's own list.

    Unknown as soon as anything that was used has no price.
    """
    has_tokens = any(used.buckets)
    charged: Mapping[str, int] = {}
    if used.units or quote.units:
        charged = charged_units(used.units, quote, has_tokens=has_tokens)
    cost, state = 0, _AGREED
    if has_tokens or not charged:
        if quote.price is None:
            return UNKNOWN
        tokens = cost_picousd(used.buckets, quote.price)
        if tokens is None:
            return UNKNOWN
        cost = tokens
        if quote.state is not _AGREED:  # every bucket that was used has a price
            state = state_for(quote, used.buckets)
    if charged:
        extra = units_cost(charged, (quote, tools) if tools else (quote,))
        if extra is None:
            return UNKNOWN
        cost, state = cost + extra[0], max(state, extra[1], key=_BY_DOUBT.index)
    return Amount(cost, state) if cost <= _INT64_MAX else UNKNOWN


def _served_cost(book: Quoting, end: Mapping[str, Any], used: Used) -> Amount:
    """The operator's own price first, then the dated model that answered, then what was asked."""
    tiers = tiers_of(end["served_tier"], end.get("requested_tier", ""))
    service = Service(tiers, used.buckets.total_input, end["region"])
    upstream, kind, host = end["upstream"], end["upstream_kind"], end["upstream_host"]
    model, served_model = end["upstream_model"], end["served_model"]
    tools = book.quote_tools(kind, host) if used.units else None
    quote = book.quote(upstream, kind, host, model, service)
    if served_model and served_model != model and quote.source != "override":
        answered = book.quote(upstream, kind, host, served_model, service)
        quote = quote if answered.source == "none" else answered
    return cost_of(used, quote, tools)


def _baseline_cost(book: Quoting, end: Mapping[str, Any], used: Used) -> Amount:
    """The requested model, at the tier that was served or, where nobody says, was asked for."""
    kind, host, region = end["baseline_upstream_kind"], end["baseline_host"], ""
    if end["baseline_upstream"] == end["upstream"]:
        region = end["region"]
        if host == UNKNOWN_HOST:
            kind, host = end["upstream_kind"], end["upstream_host"]
    tiers = tiers_of(end["served_tier"] or end.get("requested_tier", ""))
    service = Service(tiers, used.buckets.total_input, region)
    quote = book.quote(end["baseline_upstream"], kind, host, end["baseline_model"], service)
    return cost_of(used, quote, book.quote_tools(kind, host) if used.units else None)


def _is_served_as_asked(end: Mapping[str, Any]) -> bool:
    """Same upstream and model: then the difference is zero, whatever dated name came back."""
    is_there: bool = end["baseline_upstream"] == end["upstream"]
    return is_there and end["baseline_model"] == end["upstream_model"]
