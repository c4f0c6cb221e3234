"""The one calculator: what disjoint token buckets cost, in integer pico-USD (pure).

Called by the proxy (cost headers), the shipper (every END) and whatever compares two costs. The
formula is the plain sum of tokens x price over the buckets, for baseline and actual alike.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger.token_buckets import TokenBuckets, buckets_from_openai_usage

__all__ = [
    "Price",
    "PriceState",
    "Quote",
    "TokenBuckets",
    "buckets_from_openai_usage",
    "cost_picousd",
    "state_for",
]


@dataclass(frozen=True, slots=True)
class Price:
    """Pico-USD per token (USD per million tokens times 1,000,000); None is unknown, never free."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    image_input: int | None = None
    reasoning: int | None = None
    audio_output: int | None = None
    image_output: int | None = None


class PriceState(StrEnum):
    """How far a price can be trusted; only an agreed one may carry savings credit."""

    agreed = "agreed"
    disputed = "disputed"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Quote:
    """A price and its standing. `price` is the higher one when disputed, None when unknown.

    `agreed_buckets` names the price fields that are beyond dispute in a disputed quote; `state`
    itself stays on the safe side, `state_for` says what holds for one attempt.
    """

    state: PriceState
    price: Price | None
    source: str  # "book" | "override" | "none"
    agreed_buckets: frozenset[str] = frozenset()
    reason: str = ""


# Bucket -> the price fields it may be paid by, the first known one wins. The stand-ins are those
# providers document: a model without a cache price bills cached tokens as input, reasoning is
# billed as output. Audio costs several times text, so it has none.
_PAID_BY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("input_tokens", ("input",)),
    ("cache_read_tokens", ("cache_read", "input")),
    ("cache_write_5m_tokens", ("cache_write_5m", "input")),
    ("cache_write_1h_tokens", ("cache_write_1h", "cache_write_5m", "input")),
    ("audio_input_tokens", ("audio_input",)),
    ("image_input_tokens", ("image_input",)),
    ("output_tokens", ("output",)),
    ("reasoning_tokens", ("reasoning", "output")),
    ("audio_output_tokens", ("audio_output",)),
    ("image_output_tokens", ("image_output",)),
)


def cost_picousd(buckets: TokenBuckets, price: Price) -> int | None:
    """The exact sum over buckets of tokens x price; None when a used bucket has no price."""
    cost = 0
    for bucket, fields in _PAID_BY:
        tokens = getattr(buckets, bucket)
        if tokens:
            field = _paying_field(price, fields)
            if field is None:
                return None
            cost += tokens * getattr(price, field)
    return cost


def state_for(quote: Quote, buckets: TokenBuckets) -> PriceState:
    """The state of this attempt's cost: a disputed audio price taints only what used audio."""
    if quote.price is None:
        return PriceState.unknown
    used = {
        _paying_field(quote.price, fields)
        for bucket, fields in _PAID_BY
        if getattr(buckets, bucket)
    }
    if None in used:
        return PriceState.unknown
    return PriceState.agreed if used <= quote.agreed_buckets else quote.state


def _paying_field(price: Price, fields: tuple[str, ...]) -> str | None:
    for field in fields:
        if getattr(price, field) is not None:
            return field
    return None
