"""What one END cost and what the request would have cost as asked for (pure, integer pico-USD).

Called by ledger.usage_row for every END that is shipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ledger.events import TOKEN_BUCKETS, UNKNOWN_HOST
from ledger.rating import PriceState, Quote, TokenBuckets, cost_picousd, state_for

SERVED_FREE = frozenset({"hit", "coalesced"})
_COUNTED_SOURCES = frozenset({"provider", "cache"})
_INT64_MAX = 2**63 - 1


class Quoting(Protocol):
    """The part of a price book that rating needs."""

    def quote(self, upstream: str, upstream_kind: str, base_url_host: str, model: str) -> Quote: ...


@dataclass(frozen=True, slots=True)
class Amount:
    """Pico-USD, None when unknown, and how far it can be trusted."""

    picousd: int | None
    state: PriceState


UNKNOWN = Amount(None, PriceState.unknown)
NOTHING = Amount(0, PriceState.agreed)


@dataclass(frozen=True, slots=True)
class RatedEnd:
    """`gross_baseline` belongs to the request and is therefore on its final END only."""

    cost: Amount
    gross_baseline: Amount


def rate_end(book: Quoting, end: Mapping[str, Any]) -> RatedEnd:
    """Rate an END as the log has it. Answers from the cache cost nothing, and save the baseline."""
    source = end["usage_source"]
    is_free = end["cache"] in SERVED_FREE or source == "none"
    buckets = TokenBuckets(*[end[name] for name in TOKEN_BUCKETS])
    is_counted = source in _COUNTED_SOURCES
    served = _served_quote(book, end) if is_counted else None
    cost = NOTHING if is_free else UNKNOWN if served is None else _amount(served, buckets)
    if not end["is_final"] or source == "none":
        return RatedEnd(cost, NOTHING)
    if served is None:
        return RatedEnd(cost, UNKNOWN)
    if _is_served_as_asked(end):
        return RatedEnd(cost, _amount(served, buckets) if is_free else cost)
    return RatedEnd(cost, _amount(_baseline_quote(book, end), buckets))


def _served_quote(book: Quoting, end: Mapping[str, Any]) -> Quote:
    """The operator's own price first, then the dated model that answered, then what was asked."""
    place = (end["upstream"], end["upstream_kind"], end["upstream_host"])
    asked = book.quote(*place, end["upstream_model"])
    served_model = end["served_model"]
    if asked.source == "override" or served_model in {"", end["upstream_model"]}:
        return asked
    answered = book.quote(*place, served_model)
    return asked if answered.price is None else answered


def _baseline_quote(book: Quoting, end: Mapping[str, Any]) -> Quote:
    kind, host = end["baseline_upstream_kind"], end["baseline_host"]
    if end["baseline_upstream"] == end["upstream"] and host == UNKNOWN_HOST:
        kind, host = end["upstream_kind"], end["upstream_host"]
    return book.quote(end["baseline_upstream"], kind, host, end["baseline_model"])


def _is_served_as_asked(end: Mapping[str, Any]) -> bool:
    """Same upstream and model: then the difference is zero, whatever dated name came back."""
    baseline = (end["baseline_upstream"], end["baseline_model"])
    return baseline == (end["upstream"], end["upstream_model"])


def _amount(quote: Quote, buckets: TokenBuckets) -> Amount:
    if quote.price is None:
        return UNKNOWN
    cost = cost_picousd(buckets, quote.price)
    if cost is None or cost > _INT64_MAX:
        return UNKNOWN
    return Amount(cost, state_for(quote, buckets))
