"""The one calculator: what disjoint token buckets cost, in integer pico-USD (pure).

Called by the proxy (cost headers), the shipper (every END) and whatever compares two costs. The
formula is the plain sum of tokens x price over the buckets, for baseline and actual alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from ledger.token_buckets import TokenBuckets

__all__ = [
    "Price",
    "PriceState",
    "Quote",
    "TokenBuckets",
    "cost_picousd",
    "dearest",
    "state_for",
]


@dataclass(frozen=True)  # without slots: what follows from a price is computed once
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

    @cached_property
    def paying_fields(self) -> tuple[str, ...]:
        """For each bucket the field that pays for it, "" for none."""
        return tuple(
            next((field for field in fields if getattr(self, field) is not None), "")
            for _, fields in _PAID_BY
        )

    @cached_property
    def tariff(self) -> tuple[int | None, ...]:
        """For each bucket its pico-USD per token, stand-ins included."""
        return tuple(getattr(self, field) if field else None for field in self.paying_fields)


class PriceState(StrEnum):
    """How far a price can be trusted; only an agreed one may carry savings credit."""

    agreed = "agreed"
    disputed = "disputed"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Quote:
    """A price and its standing. `price` is the higher one when disputed, None when unknown
    or when the model is paid by units alone.

    `agreed_buckets` names the price fields that are beyond dispute in a disputed quote; `state`
    itself stays on the safe side, `state_for` says what holds for one attempt. `units` are
    pico-USD apiece of what is not paid by token (a search, an image, a millisecond of audio).
    """

    state: PriceState
    price: Price | None
    source: str  # "book" | "override" | "none"
    agreed_buckets: frozenset[str] = frozenset()
    reason: str = ""
    units: Mapping[str, int] = field(default_factory=dict)
    agreed_units: frozenset[str] = frozenset()


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


def dearest(prices: Sequence[Price]) -> Price:
    """The price that is nowhere below any of these, stand-ins included; one alone stays itself."""
    if len(prices) == 1:
        return prices[0]
    tariffs = zip(*(price.tariff for price in prices), strict=True)
    highest = (max((each for each in rates if each is not None), default=None) for rates in tariffs)
    names = (fields[0] for _, fields in _PAID_BY)
    return Price(**dict(zip(names, highest, strict=True)))


def cost_picousd(buckets: TokenBuckets, price: Price) -> int | None:
    """The exact sum over buckets of tokens x price; None when a used bucket has no price."""
    cost = 0
    for tokens, amount in zip(buckets, price.tariff, strict=True):
        if tokens:
            if amount is None:
                return None
            cost += tokens * amount
    return cost


def state_for(quote: Quote, buckets: TokenBuckets) -> PriceState:
    """The state of this attempt's cost: a disputed audio price taints only what used audio."""
    if quote.price is None:
        return PriceState.unknown
    state = PriceState.agreed
    for tokens, paying in zip(buckets, quote.price.paying_fields, strict=True):
        if not tokens:
            continue
        if not paying:
            return PriceState.unknown
        if paying not in quote.agreed_buckets:
            state = quote.state
    return state
