"""The second source, on the installed data."""

from datetime import date

import pytest

from config.prices.build import AS_OF
from config.prices.genai_listing import GenaiPrices, find_price_file
from config.prices.listing import BandKey


@pytest.fixture(scope="module")
def prices() -> GenaiPrices:
    return GenaiPrices(AS_OF)


def test_a_known_model_is_listed_in_picousd_per_token(prices: GenaiPrices) -> None:
    listing = prices.find_model("openai", "gpt-4o-2024-08-06")

    assert listing is not None
    assert listing.name == "gpt-4o"
    assert listing.bands[BandKey()] == {
        "input": 2_500_000,
        "output": 10_000_000,
        "cache_read": 1_250_000,
    }
    assert listing.limits == {"context": 128000}
    assert not listing.varies_by_time


def test_thresholds_and_tiers_are_bands(prices: GenaiPrices) -> None:
    listing = prices.find_model("google", "gemini-2.5-pro")

    assert listing is not None
    assert listing.bands[BandKey("standard", 200_000)]["input"] == 2_500_000
    assert listing.bands[BandKey("batch", 200_000)]["output"] == 7_500_000


def test_prices_are_those_of_the_day_asked_for() -> None:
    before = GenaiPrices(date(2026, 1, 1)).find_model("openai", "gpt-4o")

    assert before is not None
    assert BandKey("batch") not in before.bands  # the source dates it 2026-10-14


def test_a_price_that_varies_by_the_hour_is_flagged_and_the_highest_taken(
    prices: GenaiPrices,
) -> None:
    listing = prices.find_model("deepseek", "deepseek-chat")

    assert listing is not None
    assert listing.varies_by_time
    assert listing.bands[BandKey()]["output"] == 1_100_000


def test_an_unknown_model_is_not_listed(prices: GenaiPrices) -> None:
    assert prices.find_model("openai", "no-such-model") is None


def test_models_without_any_price_are_left_out(prices: GenaiPrices) -> None:
    listings = {listing.name: listing for listing in prices.list_models("openai")}

    assert "gpt-4o" in listings
    for listing in listings.values():
        assert listing.units or "input" in listing.bands[BandKey()]
    assert listings["whisper-1"].units == {"audio_input_ms": 100_000}


def test_the_data_file_is_found() -> None:
    path, version = find_price_file()

    assert path.is_file()
    assert version
