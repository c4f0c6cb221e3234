"""What litellm's price file lists by the piece: searches, images, seconds, characters (pure).

Used by config.prices.litellm_listing. Zeros are placeholders there and are left out, except where
a kind of model is free: an explicit zero of a moderation model is a price.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from config.prices.listing import HIGHEST_UNIT_PICOUSD, Prices, to_picousd

_SIZED = re.compile(
    r"(?:(?P<quality>[a-z]+)/)?(?P<width>\d+)-x-(?P<height>\d+)/"
    r"(?:(?P<steps>[a-z0-9]+-steps)/)?(?P<model>.+)"
)
_IMAGE_MODES = ("image_generation", "image_edit")
_IMAGE_KEYS = ("output_cost_per_image", "input_cost_per_image")
_PIXEL_KEYS = ("output_cost_per_pixel", "input_cost_per_pixel")
_SEARCH_PREFIX = "search_context_size_"
# Mode -> unit, the keys its price may be under, how many units the key's price is for.
_BY_MODE = {
    "image_generation": (("image", _IMAGE_KEYS, 1),),
    "image_edit": (("image", _IMAGE_KEYS, 1),),
    "audio_transcription": (
        ("audio_input_ms", ("input_cost_per_second", "output_cost_per_second"), 1000),
    ),
    "audio_speech": (
        ("characters", ("input_cost_per_character",), 1),
        ("audio_output_ms", ("output_cost_per_second",), 1000),
    ),
}
_ANY_MODE = (
    ("requests", ("input_cost_per_request",), 1),
    ("code_interpreter_sessions", ("code_interpreter_cost_per_session",), 1),
    ("file_search_calls", ("file_search_cost_per_1k_calls",), 1000),
)


class SizedImage(NamedTuple):
    """An entry that is the price of one size and quality of a model's images."""

    model: str
    unit: str
    picousd: int


def find_sized_image(name: str, entry: Mapping[str, Any]) -> SizedImage | None:
    """The image price that an entry named like `hd/1024-x-1792/dall-e-3` stands for, else None."""
    match = _SIZED.fullmatch(name)
    if match is None or entry.get("mode") not in _IMAGE_MODES:
        return None
    width, height = int(match["width"]), int(match["height"])
    usd = _first(entry, _IMAGE_KEYS) or _first(entry, _PIXEL_KEYS) * width * height
    if not usd:
        return None
    parts = ("image", f"{width}x{height}", match["quality"] or match["steps"] or "standard")
    return SizedImage(match["model"], ":".join(parts), _picousd(usd))


def listed_units(entry: Mapping[str, Any]) -> Prices:
    """Pico-USD apiece by unit."""
    listed: Prices = {}
    for unit, keys, count in (*_ANY_MODE, *_BY_MODE.get(entry["mode"], ())):
        usd = _first(entry, keys)
        if usd:
            listed[unit] = _picousd(usd / count)
    if entry["mode"] == "moderation" and entry.get("input_cost_per_token") == 0:
        listed["moderation_calls"] = 0
    return listed | _searches(entry.get("search_context_cost_per_query"))


def _searches(by_size: Any) -> Prices:
    """One price for every search, or one for each size of what it may bring back."""
    if not isinstance(by_size, Mapping):
        return {}
    amounts = {
        size.removeprefix(_SEARCH_PREFIX): _picousd(Decimal(usd))
        for size, usd in by_size.items()
        if isinstance(usd, int | Decimal) and usd
    }
    if len(set(amounts.values())) == 1:
        return {"web_search_calls": next(iter(amounts.values()))}
    return {f"web_search_calls:{size}": amount for size, amount in amounts.items()}


def _first(entry: Mapping[str, Any], keys: tuple[str, ...]) -> Decimal:
    """The first price that is listed under one of the keys; zero for none."""
    stated = (entry.get(key) for key in keys)
    return next(
        (Decimal(each) for each in stated if isinstance(each, int | Decimal) and each), Decimal(0)
    )


def _picousd(usd: Decimal) -> int:
    return to_picousd(usd, HIGHEST_UNIT_PICOUSD)
