"""What one source says of one model, in one shape for all sources; used by config.prices.build.

Amounts are pico-USD per token (1e-12 USD): USD per million tokens times 1,000,000.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

from config.prices.document import STANDARD

_PICO = Decimal(10) ** 12
_THREE_DIGITS = Context(prec=3, rounding=ROUND_HALF_EVEN)
_NOISE = Decimal("0.00005")
# 10,000 USD a million tokens, 100 USD apiece: beyond it somebody wrote another unit.
HIGHEST_TOKEN_PICOUSD = 10_000 * 10**6
HIGHEST_UNIT_PICOUSD = 100 * 10**12

Prices = dict[str, int]

# Both sources define these two: unlisted reasoning costs as output, unlisted images as input text.
DEFAULT_BUCKETS = {"reasoning": "output", "image_input": "input"}


class BandKey(NamedTuple):
    """A condition prices are listed under: tier, the input tokens it begins above, region."""

    tier: str = STANDARD
    above_input_tokens: int = 0
    region: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """One model at one provider as one source lists it; `name` is the source's own name for it.

    `units` are pico-USD apiece of what is not paid by token.
    """

    name: str
    mode: str
    bands: Mapping[BandKey, Prices]
    limits: Mapping[str, int | bool] = field(default_factory=dict)
    varies_by_time: bool = False
    units: Prices = field(default_factory=dict)


def to_picousd(usd: Decimal, highest: int = HIGHEST_TOKEN_PICOUSD) -> int:
    """Integer pico-USD per token, or apiece, of a price somebody wrote down or computed in floats.

    Prices are published with few digits; a source that computed one (2.9999e-06, or
    5.0000000000000004e-08) leaves noise behind. Within 0.005% of a number of three digits, a
    hundredth of what two sources may differ by, that number is meant; any other price
    (1.44375e-07) is kept to the pico, half to even. ValueError outside 0 to `highest`.
    """
    exact = usd * _PICO
    if not 0 <= exact <= highest:
        raise ValueError(f"{usd} USD apiece is no sane price")
    short = _THREE_DIGITS.plus(exact)
    meant = short if abs(short - exact) <= _NOISE * exact else exact
    return int(meant.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def complete_bands(listed: Mapping[BandKey, Prices]) -> dict[BandKey, Prices]:
    """Every band with all its prices: what it does not list itself comes from the bands below.

    Sources list a band's differences only: "batch" without a cache price keeps the standard one.
    A band without an input price of its own is a leftover of the source's and is dropped.
    """
    own = {key: _without_defaults(prices) for key, prices in listed.items()}
    return {
        key: _complete(key, own)
        for key in sorted(own)
        if "input" in own[key] and "input" in own.get(BandKey(), {})
    }


def raise_prices(
    bands: Mapping[BandKey, Prices], region: str, factor: Decimal
) -> dict[BandKey, Prices]:
    """The same bands in a region that takes `factor` times the plain price, half to even."""
    one = Decimal(1)
    return {
        key._replace(region=region): {
            bucket: int((amount * factor).quantize(one, rounding=ROUND_HALF_EVEN))
            for bucket, amount in prices.items()
        }
        for key, prices in bands.items()
        if not key.region
    }


def _without_defaults(prices: Prices) -> Prices:
    """Drops what says nothing new, so that a cheaper band's default is not taken from above it."""
    return {
        bucket: amount
        for bucket, amount in prices.items()
        if bucket not in DEFAULT_BUCKETS or amount != prices.get(DEFAULT_BUCKETS[bucket])
    }


def _complete(key: BandKey, listed: Mapping[BandKey, Prices]) -> Prices:
    complete: Prices = {}
    for tier in dict.fromkeys((STANDARD, key.tier)):
        for other in sorted(listed):
            if other.tier == tier and other.above_input_tokens <= key.above_input_tokens:
                complete.update(listed[other])
    return complete
