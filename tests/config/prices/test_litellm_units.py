"""Prices by the piece, from entries in the form of the first source."""

from decimal import Decimal
from typing import Any

import pytest

from config.prices.litellm_units import SizedImage, find_sized_image, listed_units


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"mode": "audio_transcription", "input_cost_per_second": Decimal("0.0001"),
          "output_cost_per_second": Decimal("0.0001")}, {"audio_input_ms": 100_000}),
        ({"mode": "audio_speech", "input_cost_per_character": Decimal("1.5e-05")},
         {"characters": 15_000_000}),
        ({"mode": "image_generation", "output_cost_per_image": Decimal("0.04"),
          "input_cost_per_image": 0}, {"image": 40 * 10**9}),
        ({"mode": "moderation", "input_cost_per_token": Decimal("0.0")}, {"moderation_calls": 0}),
        ({"mode": "moderation"}, {}),
        ({"mode": "chat", "output_cost_per_image": Decimal("0.04")}, {}),
        ({"mode": "chat", "code_interpreter_cost_per_session": Decimal("0.03")},
         {"code_interpreter_sessions": 30 * 10**9}),
        ({"mode": "chat", "file_search_cost_per_1k_calls": Decimal("2.5")},
         {"file_search_calls": 2_500_000_000}),
    ],
)  # fmt: skip
def test_units_by_mode(entry: dict[str, Any], expected: dict[str, int]) -> None:
    assert listed_units(entry) == expected


def test_searches_of_one_price_are_one_unit_and_others_are_told_apart() -> None:
    cent, two = Decimal("0.01"), Decimal("0.02")
    same = {"search_context_size_low": cent, "search_context_size_high": cent}
    apart = {"search_context_size_low": cent, "search_context_size_high": two}
    entry: dict[str, Any] = {"mode": "chat", "search_context_cost_per_query": same}
    assert listed_units(entry) == {"web_search_calls": 10**10}
    entry["search_context_cost_per_query"] = apart
    assert listed_units(entry) == {
        "web_search_calls:low": 10**10,
        "web_search_calls:high": 2 * 10**10,
    }


@pytest.mark.parametrize(
    ("name", "price", "expected"),
    [
        ("1024-x-1024/dall-e-3", {"input_cost_per_image": Decimal("0.04")},
         SizedImage("dall-e-3", "image:1024x1024:standard", 40 * 10**9)),
        ("hd/1024-x-1792/dall-e-3", {"input_cost_per_pixel": Decimal("6.539e-08")},
         SizedImage("dall-e-3", "image:1024x1792:hd", 119_991_173_120)),
        ("512-x-512/max-steps/xl", {"output_cost_per_image": Decimal("0.036")},
         SizedImage("xl", "image:512x512:max-steps", 36 * 10**9)),
        ("1024-x-1024/free", {}, None),
        ("dall-e-3", {"input_cost_per_image": Decimal("0.04")}, None),
    ],
)  # fmt: skip
def test_sizes_of_images(name: str, price: dict[str, Any], expected: SizedImage | None) -> None:
    assert find_sized_image(name, {"mode": "image_generation", **price}) == expected


def test_a_price_in_another_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="no sane price"):
        listed_units({"mode": "image_generation", "output_cost_per_image": Decimal(4000)})
