"""The first source: the price file inside litellm's wheel, read as a file; used by build.

litellm itself is never imported: that costs seconds, 178 MB and a network call.
"""

import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from config.prices.document import REGIONAL, TOOLS_ENTRY
from config.prices.listing import (
    BandKey,
    Listing,
    Prices,
    complete_bands,
    raise_prices,
    to_picousd,
)
from config.prices.litellm_units import find_sized_image, listed_units
from config.prices.providers import BookProvider

NAME = "litellm"
FILE_NAME = "model_prices_and_context_window_backup.json"
MODES = (
    "chat", "embedding", "responses", "completion", "realtime", "image_generation", "image_edit",
    "audio_transcription", "audio_speech", "moderation",
)  # fmt: skip
_BUCKETS = {
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_read_input_token_cost": "cache_read",
    "input_cost_per_audio_token": "audio_input",
    "input_cost_per_image_token": "image_input",
    "input_cost_per_token": "input",
    "output_cost_per_audio_token": "audio_output",
    "output_cost_per_image_token": "image_output",
    "output_cost_per_reasoning_token": "reasoning",
    "output_cost_per_token": "output",
}
_TIERS = {"": "standard", "_batches": "batch", "_priority": "priority", "_flex": "flex"}
_REGION = re.compile(r"eu|us|apac|us-gov|[a-z]{2}(-[a-z]+)+-\d+")
_UPLIFTS = {
    "regional_processing_uplift_multiplier_eu": "eu",
    "regional_processing_uplift_multiplier_us": "us",
    "regional_endpoint_uplift_multiplier": REGIONAL,
}
_TOOLS_NAME = "container"
_KEY = re.compile(
    rf"(?P<bucket>{'|'.join(_BUCKETS)})"
    r"(?:_above_(?P<thousands>\d+)k_tokens)?(?P<tier>_batches|_priority|_flex)?"
)


def find_price_file() -> tuple[Path, str]:
    """The installed price file and litellm's version; ConfigError when it is not installed."""
    spec = importlib.util.find_spec(NAME)
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the price book is built from litellm's price file, and litellm is not installed",
            "install the development requirements: pip install -r requirements-dev.txt",
        )
    return Path(spec.origin).with_name(FILE_NAME), importlib.metadata.version(NAME)


def parse_price_file(data: bytes) -> dict[str, Any]:
    """The file's models with every number exact: floats become Decimal, never binary."""
    models: dict[str, Any] = json.loads(data, parse_float=Decimal)
    return models


def list_models(models: Mapping[str, Any], provider: BookProvider) -> dict[str, Listing]:
    """Priced models of one provider, by the upstream's own name."""
    found: dict[str, Listing] = {}
    regional: dict[str, dict[BandKey, Prices]] = {}
    sized: dict[str, Prices] = {}
    for source_name, entry in _entries(models, provider):
        name = _own_name(source_name, provider)
        image = find_sized_image(name, entry)
        if image is not None:
            sized.setdefault(_own_name(image.model, provider), {})[image.unit] = image.picousd
            continue
        bands = complete_bands(_listed_bands(entry))
        region, _, model = name.partition("/")
        if provider.is_regional and model:
            if _REGION.fullmatch(region):
                bands = {key._replace(region=region): prices for key, prices in bands.items()}
                regional.setdefault(model, {}).update(bands)
            continue
        name = TOOLS_ENTRY if name == _TOOLS_NAME else name
        if name not in found or source_name.startswith(f"{provider.name}/"):
            bands |= _surcharged(bands, entry)
            units = listed_units(entry)
            found[name] = Listing(source_name, entry["mode"], bands, _limits(entry), units=units)
    return _complete(found, regional, sized)


def _complete(
    found: Mapping[str, Listing],
    regional: Mapping[str, Mapping[BandKey, Prices]],
    sized: Mapping[str, Prices],
) -> dict[str, Listing]:
    """Adds the regional editions and the sizes of images; drops what has no price at all."""
    complete: dict[str, Listing] = {}
    for name in sorted({*found, *sized}):
        listing = found.get(name, Listing(name, "image_generation", {}))
        bands = {**listing.bands, **regional.get(name, {})} if listing.bands else {}
        units = {**listing.units, **sized.get(name, {})}
        if bands or units:
            complete[name] = replace(listing, bands=bands, units=units)
    return complete


def _surcharged(bands: Mapping[BandKey, Prices], entry: Mapping[str, Any]) -> dict[BandKey, Prices]:
    """The bands of regions that take a share more, for those the source names."""
    raised: dict[BandKey, Prices] = {}
    for key, region in _UPLIFTS.items():
        if isinstance(entry.get(key), int | Decimal) and entry[key] > 1:
            raised |= raise_prices(bands, region, Decimal(entry[key]))
    return raised


def names_of_other_modes(models: Mapping[str, Any], provider: BookProvider) -> set[str]:
    """Models the book leaves out on purpose (video, search, reranking ...)."""
    return {
        _own_name(name, provider)
        for name, entry in models.items()
        if entry.get("litellm_provider") in provider.litellm and entry.get("mode") not in MODES
    }


def _entries(models: Mapping[str, Any], provider: BookProvider) -> Iterator[tuple[str, Any]]:
    for name, entry in sorted(models.items()):
        if entry.get("litellm_provider") in provider.litellm and entry.get("mode") in MODES:
            yield name, entry


def _own_name(source_name: str, provider: BookProvider) -> str:
    prefix, _, rest = source_name.partition("/")
    return rest if rest and prefix in {provider.name, *provider.litellm} else source_name


def _listed_bands(entry: Mapping[str, Any]) -> dict[BandKey, Prices]:
    listed: dict[BandKey, Prices] = {}
    for key, value in entry.items():
        match = _KEY.fullmatch(key)
        # A zero here is a placeholder ("not charged this way"), and unknown must never become free.
        if match is None or not isinstance(value, int | Decimal) or not value:
            continue
        above = 1000 * int(match["thousands"] or 0)
        band = listed.setdefault(BandKey(_TIERS[match["tier"] or ""], above), {})
        band[_BUCKETS[match["bucket"]]] = to_picousd(Decimal(value))
    return listed


def _limits(entry: Mapping[str, Any]) -> dict[str, int | bool]:
    limits: dict[str, int | bool] = {}
    for ours, theirs in (("context", "max_input_tokens"), ("max_output", "max_output_tokens")):
        if isinstance(entry.get(theirs), int) and entry[theirs] > 0:
            limits[ours] = entry[theirs]
    for ours, theirs in (("tools", "supports_function_calling"), ("vision", "supports_vision")):
        if entry.get(theirs) is True:
            limits[ours] = True
    return limits
