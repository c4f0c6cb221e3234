"""The first source: the price file inside litellm's wheel, read as a file; used by build.

litellm itself is never imported: that costs seconds, 178 MB and a network call.
"""

import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from config.prices.listing import BandKey, Listing, Prices, complete_bands, to_picousd
from config.prices.providers import BookProvider

NAME = "litellm"
FILE_NAME = "model_prices_and_context_window_backup.json"
MODES = ("chat", "embedding", "responses")
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
    """Priced chat, embedding and responses models of one provider, by the upstream's own name."""
    found: dict[str, Listing] = {}
    for source_name, entry in _entries(models, provider):
        name = _own_name(source_name, provider)
        is_first = name not in found or source_name.startswith(f"{provider.name}/")
        bands = complete_bands(_listed_bands(entry))
        if bands and is_first and not (provider.is_regional and "/" in name):
            found[name] = Listing(source_name, entry["mode"], bands, _limits(entry))
    return found


def names_of_other_modes(models: Mapping[str, Any], provider: BookProvider) -> set[str]:
    """Models the book leaves out on purpose (images, speech, search ...)."""
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
