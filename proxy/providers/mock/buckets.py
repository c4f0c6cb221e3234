"""Disjoint token buckets of any call, and what they cost at a tier. Called by bill.py.

prices.py does the same for chat; this one knows audio, images and tiers, and shares no code with
the gateway's rating either, so that one checks the other.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from config.prices.document import BOOK_PATH, STANDARD
from proxy.providers.mock.rendering import Usage

_PROVIDERS = ("openai", "anthropic", "gemini")
# Bucket -> the names of its price, the first listed one counts.
_PRICES = {
    "input_tokens": ("input",),
    "cache_read_tokens": ("cache_read", "input"),
    "audio_input_tokens": ("audio_input",),
    "image_input_tokens": ("image_input",),
    "output_tokens": ("output",),
    "reasoning_tokens": ("reasoning", "output"),
    "audio_output_tokens": ("audio_output",),
    "image_output_tokens": ("image_output",),
}


@dataclass(frozen=True, slots=True)
class Buckets:
    """Tokens of one call; no token is in two buckets."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    audio_input_tokens: int = 0
    image_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    image_output_tokens: int = 0

    @classmethod
    def of(cls, usage: Usage) -> "Buckets":
        return cls(
            input_tokens=usage.prompt_tokens - usage.cached_tokens - usage.audio_tokens,
            cache_read_tokens=usage.cached_tokens,
            audio_input_tokens=usage.audio_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        )

    def plus(self, other: "Buckets") -> "Buckets":
        names = (field.name for field in fields(self))
        return Buckets(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def prompt_tokens(self) -> int:
        plain = self.input_tokens + self.cache_read_tokens
        return plain + self.audio_input_tokens + self.image_input_tokens

    def completion_tokens(self) -> int:
        visible = self.output_tokens + self.audio_output_tokens + self.image_output_tokens
        return visible + self.reasoning_tokens

    def counts(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Charge:
    """What one line of the bill is for; `units` counts what is not sold by the token."""

    model: str
    buckets: Buckets
    tier: str = STANDARD
    units: dict[str, float] | None = None
    batch_id: str | None = None


class BucketPrices:
    """Prices by model and tier, from the committed price book; pico-USD per token."""

    def __init__(self, bands: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
        self._bands = bands

    @classmethod
    def load(cls, path: Path = BOOK_PATH) -> "BucketPrices":
        providers = orjson.loads(path.read_bytes())["providers"]
        bands: dict[tuple[str, str], list[dict[str, Any]]] = {}
        seen: set[str] = set()
        for provider in _PROVIDERS:
            models = providers.get(provider, {})
            for name in models.keys() - seen:
                for band in models[name]["bands"]:
                    if not band.get("region"):
                        bands.setdefault((name, band.get("tier", STANDARD)), []).append(band)
            seen |= models.keys()
        return cls(bands)

    def cost_picousd(self, charge: Charge) -> int | None:
        """Return what the tokens cost; None when a price is not listed, or units were sold."""
        prompt_tokens = charge.buckets.prompt_tokens()
        fitting = [
            band
            for band in self._bands.get((charge.model, charge.tier), [])
            if prompt_tokens > band.get("above_input_tokens", 0)
            or not band.get("above_input_tokens")
        ]
        if charge.units or not fitting:
            return None
        prices = max(fitting, key=lambda band: band.get("above_input_tokens", 0))["price"]
        total = 0
        for bucket, tokens in charge.buckets.counts().items():
            listed = [prices[name] for name in _PRICES[bucket] if name in prices]
            if tokens and not listed:
                return None
            total += tokens * (listed[0] if listed else 0)
        return total
