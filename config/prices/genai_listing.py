"""The second source: the data of the genai-prices package; the one door to it, used by build.

Prices are taken as they stand on one given day, so that a build repeats byte for byte.
"""

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from config.prices.document import STANDARD
from config.prices.listing import (
    HIGHEST_UNIT_PICOUSD,
    BandKey,
    Listing,
    Prices,
    complete_bands,
    to_picousd,
)

NAME = "genai-prices"
_MODULE = "genai_prices"
_MILLION = 10**6
# In order: a later key is the more specific one.
_BUCKETS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "input_image_mtok": "image_input",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "audio_output",
    "output_image_mtok": "image_output",
}
_TIERS = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("speed", "fast"): "fast",
}
# Unit -> how many of it the source's figure is for.
_UNITS = {
    "web_searches_kcount": ("web_search_calls", 1000),
    "storage_searches_kcount": ("file_search_calls", 1000),
    "requests_kcount": ("requests", 1000),
    "input_mchars": ("characters", _MILLION),
    "input_audio_hours": ("audio_input_ms", 3_600_000),
}
_HALF_HOURS = tuple(time(hour, minute, tzinfo=UTC) for hour in range(24) for minute in (0, 30))


def find_price_file() -> tuple[Path, str]:
    """The installed data file and the package's version; ConfigError when not installed."""
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the price book is checked against genai-prices, which is not installed",
            "install the development requirements: pip install -r requirements-dev.txt",
        )
    return Path(spec.origin).with_name("data.py"), importlib.metadata.version(NAME)


class GenaiPrices:
    """The package's data as of one day (UTC): finds a model by name, lists a provider's models."""

    def __init__(self, as_of: date) -> None:
        from genai_prices.data import providers  # noqa: PLC0415  only the build needs its 50 MB

        self._providers = providers
        self._by_id = {provider.id: provider for provider in providers}
        self._day = as_of

    def find_model(self, provider_id: str, model: str) -> Listing | None:
        """What the source answers for this name, by its own matching rules; None if unpriced."""
        found = self._by_id[provider_id].find_model(model, all_providers=self._providers)
        return self._listing(found) if found is not None else None

    def list_models(self, provider_id: str) -> Iterator[Listing]:
        """Every priced model the source lists for the provider itself."""
        for model in self._by_id[provider_id].models:
            listing = self._listing(model)
            if listing is not None:
                yield listing

    def _listing(self, model: Any) -> Listing | None:
        times = _HALF_HOURS if isinstance(model.prices, list) else _HALF_HOURS[:1]
        by_moment = [_listed_bands(model, datetime.combine(self._day, t)) for t in times]
        bands = complete_bands(_highest(by_moment))
        units = _listed_units(vars(model.get_prices(datetime.combine(self._day, times[0]))))
        if not bands and not units:
            return None
        limits = {"context": model.context_window} if model.context_window else {}
        varies = any(listed != by_moment[0] for listed in by_moment)
        return Listing(model.id, "", bands, limits, varies, units)


def _listed_bands(model: Any, moment: datetime) -> dict[BandKey, Prices]:
    listed: dict[BandKey, Prices] = {}
    _add_prices(listed, STANDARD, vars(model.get_prices(moment)))
    for variant in model.price_variants or ():
        condition = next(iter(variant.when.items())) if len(variant.when) == 1 else ("", "")
        is_active = variant.constraint is None or variant.constraint.active(moment)
        if is_active and condition in _TIERS:
            _add_prices(listed, _TIERS[condition], vars(variant.prices))
    return listed


def _add_prices(listed: dict[BandKey, Prices], tier: str, prices: Mapping[str, Any]) -> None:
    for key, bucket in _BUCKETS.items():
        for above, usd_per_million in _steps(prices.get(key)):
            if usd_per_million:
                band = listed.setdefault(BandKey(tier, above), {})
                band[bucket] = to_picousd(usd_per_million / _MILLION)


def _listed_units(prices: Mapping[str, Any]) -> Prices:
    """What is paid by the piece; with steps the dearest, for no attempt tells which it was in."""
    listed: Prices = {}
    for key, (unit, count) in _UNITS.items():
        highest = max((amount for _, amount in _steps(prices.get(key))), default=Decimal(0))
        if highest:
            listed[unit] = to_picousd(highest / count, HIGHEST_UNIT_PICOUSD)
    return listed


def _steps(price: Any) -> Iterator[tuple[int, Decimal]]:
    if price is None:
        return
    if isinstance(price, Decimal):
        yield 0, price
        return
    yield 0, price.base
    for tier in price.tiers:
        # "From 200,000 on" is written as above 199,999 here and as above 200,000 elsewhere.
        is_from = (tier.start + 1) % 1000 == 0
        yield tier.start + is_from, tier.price


def _highest(by_moment: list[dict[BandKey, Prices]]) -> dict[BandKey, Prices]:
    highest: dict[BandKey, Prices] = {}
    for listed in by_moment:
        for key, prices in listed.items():
            band = highest.setdefault(key, {})
            for bucket, amount in prices.items():
                band[bucket] = max(amount, band.get(bucket, 0))
    return highest
