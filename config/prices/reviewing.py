"""Prices that a person read on a provider's page and wrote down: `prices update --file`.

The file is YAML or JSON (docs/prices.md shows one). It is checked against sane bounds and against
the prices in force before anything is appended to the history; ConfigError says what is wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from config.errors import ConfigError, suggest
from config.operator_model import ModelName, PerMillionUsd
from config.prices.document import PRICE_BUCKETS, STANDARD, Document
from config.prices.history import PriceRow
from config.prices.listing import HIGHEST_UNIT_PICOUSD, to_picousd
from config.prices.providers import BOOK_PROVIDERS
from config.validating import refuse_at, validate
from config.yaml_loading import read_yaml

MOST_TIMES = 20  # a price that moves further was most likely written in another unit
_MILLION = 10**6
_PROVIDERS = [provider.name for provider in BOOK_PROVIDERS]


def _check_unit_usd(value: Decimal) -> Decimal:
    try:
        to_picousd(value, HIGHEST_UNIT_PICOUSD)
    except ValueError as error:
        raise ValueError("a price apiece lies between 0 and 100 USD") from error
    return value


def _check_provider(value: str) -> str:
    if value not in _PROVIDERS:
        raise ValueError(f"no such provider; {suggest(value, _PROVIDERS)}")
    return value


def _check_bucket(value: str) -> str:
    if value not in PRICE_BUCKETS:
        raise ValueError(f"no such kind of token; {suggest(value, PRICE_BUCKETS)}")
    return value


PerUnitUsd = Annotated[Decimal, AfterValidator(_check_unit_usd)]
Provider = Annotated[str, AfterValidator(_check_provider)]
Bucket = Annotated[str, AfterValidator(_check_bucket)]
Citation = Annotated[str, Field(min_length=8, max_length=500, pattern=r"^[ -~]+$")]
UnitName = Annotated[str, Field(pattern=r"^[a-z0-9_]+(:[a-z0-9_.-]+)*$", max_length=100)]


class _Reviewed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReviewedBand(_Reviewed):
    """One set of prices and the condition it holds under."""

    tier: Literal["standard", "batch", "flex", "priority", "fast"] = "standard"
    above_input_tokens: int = Field(default=0, ge=0, le=10**9)
    region: str = Field(default="", pattern=r"^[a-z0-9-]{0,32}$")
    usd_per_million: dict[Bucket, PerMillionUsd]

    @model_validator(mode="after")
    def _is_sane(self) -> Self:
        prices = self.usd_per_million
        if "input" not in prices:
            raise ValueError("a band needs the price of input")
        if prices.get("cache_read", Decimal(0)) > prices["input"]:
            raise ValueError("reading from the cache costs more than fresh input")
        return self

    @property
    def condition(self) -> tuple[str, str, int]:
        return self.region, self.tier, self.above_input_tokens


class ReviewedPrice(_Reviewed):
    """All that one model costs; it replaces what the book has of it from `valid_from` on."""

    provider: Provider
    model: ModelName
    valid_from: date
    valid_to: date | None = None
    citation: Citation | None = None
    mode: str = Field(default="chat", pattern=r"^[a-z_]{1,32}$")
    bands: tuple[ReviewedBand, ...] = ()
    usd_per_unit: dict[UnitName, PerUnitUsd] = Field(default_factory=dict)
    is_free: bool = False
    is_a_large_change: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.bands and not self.usd_per_unit:
            raise ValueError("it has no price: give bands, usd_per_unit or both")
        conditions = [band.condition for band in self.bands]
        if len(set(conditions)) < len(conditions):
            raise ValueError("two bands hold under the same condition")
        if conditions and ("", STANDARD, 0) not in conditions:
            raise ValueError("the band of the standard tier from the first token on is missing")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to is not after valid_from")
        return self


class ReviewFile(_Reviewed):
    """The whole file: a citation for all prices in it, unless one has its own."""

    citation: Citation
    prices: tuple[ReviewedPrice, ...] = Field(min_length=1, max_length=1000)


@dataclass(frozen=True, slots=True)
class Review:
    """The rows to append; `citation` is the file's own."""

    citation: str
    rows: tuple[PriceRow, ...]


def read_review(path: Path, book: Document) -> Review:
    """The checked rows of a file; ConfigError with file:line, the key, and a hint."""
    document = read_yaml(path, "--file names it: correct that path or its permissions")
    review = validate(ReviewFile, document)
    rows = []
    for place, price in enumerate(review.prices):
        old = book["providers"].get(price.provider, {}).get(price.model, {})
        for message, hint in _problems(price, old):
            raise refuse_at(document, ("prices", place), message, hint)
        rows.append(_row_of(price, review.citation, old))
    if len({(row.provider, row.model, row.valid_from) for row in rows}) < len(rows):
        raise ConfigError(f"{path}: one model has two prices from the same day", "keep one of them")
    return Review(review.citation, tuple(rows))


def _row_of(price: ReviewedPrice, citation: str, old: dict[str, Any]) -> PriceRow:
    entry: dict[str, Any] = {
        "bands": [_band_of(band) for band in sorted(price.bands, key=_order)],
        "mode": price.mode,
        "citation": price.citation or citation,
    }
    if price.usd_per_unit:
        entry["units"] = {
            unit: {"picousd": to_picousd(usd, HIGHEST_UNIT_PICOUSD), "state": "agreed"}
            for unit, usd in price.usd_per_unit.items()
        }
    if old.get("limits"):
        entry["limits"] = old["limits"]
    valid_to = price.valid_to.isoformat() if price.valid_to else ""
    return PriceRow(price.provider, price.model, price.valid_from.isoformat(), valid_to, entry)


def _order(band: ReviewedBand) -> tuple[str, bool, str, int]:
    return band.region, band.tier != STANDARD, band.tier, band.above_input_tokens


def _band_of(band: ReviewedBand) -> dict[str, Any]:
    region = {"region": band.region} if band.region else {}
    return {
        "tier": band.tier,
        "above_input_tokens": band.above_input_tokens,
        **region,
        "state": "agreed",
        "price": {bucket: _picousd(usd) for bucket, usd in band.usd_per_million.items()},
    }


def _picousd(usd_per_million: Decimal) -> int:
    return int(usd_per_million * _MILLION)


def _problems(price: ReviewedPrice, old: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(what is not believable, what to do) of one price, by itself and against the old one."""
    amounts = dict(_amounts(price))
    if not price.is_free and any(not amount for amount in amounts.values()):
        yield "a price is zero", "write the price, or is_free: true where the provider says so"
    before = dict(_old_amounts(old))
    if price.is_a_large_change:
        return
    for key, amount in amounts.items():
        was = before.get(key, 0)
        if was and amount and max(amount, was) > MOST_TIMES * min(amount, was):
            yield (
                f"{' '.join(map(str, key))} would change by more than {MOST_TIMES} times",
                "prices are USD per million tokens, or per piece; if this one did change so far,"
                " add is_a_large_change: true",
            )


def _amounts(price: ReviewedPrice) -> Iterator[tuple[tuple[Any, ...], int]]:
    for band in price.bands:
        for bucket, usd in band.usd_per_million.items():
            yield (*band.condition, bucket), _picousd(usd)
    for unit, usd in price.usd_per_unit.items():
        yield (unit,), to_picousd(usd, HIGHEST_UNIT_PICOUSD)


def _old_amounts(entry: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], int]]:
    for band in entry.get("bands", ()):
        condition = (band.get("region", ""), band["tier"], band["above_input_tokens"])
        for bucket, amount in band["price"].items():
            yield (*condition, bucket), amount
    for unit, stated in entry.get("units", {}).items():
        yield (unit,), stated["picousd"]
