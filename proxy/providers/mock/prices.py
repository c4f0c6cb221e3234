"""The mock's own arithmetic for its bill, kept apart from ledger.rating on purpose.

The two are written independently so that one checks the other. Called by bill.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from config.prices.document import BOOK_PATH, STANDARD
from proxy.providers.mock.rendering import Usage

# A mock model is priced as the model of that name at the first provider that lists it.
_PROVIDERS = ("openai", "anthropic", "gemini")


@dataclass(frozen=True, slots=True)
class _Band:
    """Pico-USD per token of requests with more input tokens than `above`."""

    above: int
    prices: dict[str, int]


class PriceTable:
    """Standard-tier prices by model name; `load` reads the committed price book."""

    def __init__(self, bands: dict[str, list[_Band]]) -> None:
        self._bands = bands

    @classmethod
    def load(cls, path: Path = BOOK_PATH) -> "PriceTable":
        providers = orjson.loads(path.read_bytes())["providers"]
        bands: dict[str, list[_Band]] = {}
        for provider in _PROVIDERS:
            for name, model in providers.get(provider, {}).items():
                bands.setdefault(name, _read_bands(model["bands"]))
        return cls(bands)

    def cost_picousd(self, model: str, usage: Usage) -> int | None:
        """Return what the tokens cost, or None when a price that they need is not listed."""
        fitting = [band for band in self._bands.get(model, []) if usage.prompt_tokens > band.above]
        if not usage.prompt_tokens:
            return 0 if model in self._bands else None
        if not fitting:
            return None
        prices = max(fitting, key=lambda band: band.above).prices
        write_5m = prices.get("cache_write_5m", prices.get("input"))
        bought = (
            (usage.plain_tokens, prices.get("input")),
            (usage.cached_tokens, prices.get("cache_read", prices.get("input"))),
            (usage.cache_write_5m_tokens, write_5m),
            (usage.cache_write_1h_tokens, prices.get("cache_write_1h", write_5m)),
            (usage.audio_tokens, prices.get("audio_input")),
            (usage.output_tokens, prices.get("output")),
            (usage.reasoning_tokens, prices.get("reasoning", prices.get("output"))),
        )
        total = 0
        for tokens, price in bought:
            if tokens and price is None:
                return None
            total += tokens * (price or 0)
        return total


def _read_bands(documents: list[dict[str, Any]]) -> list[_Band]:
    return [
        _Band(document.get("above_input_tokens", 0), document["price"])
        for document in documents
        if document.get("tier", STANDARD) == STANDARD and not document.get("region")
    ]
