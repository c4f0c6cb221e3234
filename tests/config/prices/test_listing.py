"""Prices as written become integers without noise; bands are completed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.prices.listing import BandKey, complete_bands, raise_prices, to_picousd


@pytest.mark.parametrize(
    ("written", "picousd"),
    [
        ("0.0000025", 2_500_000),
        ("1.25e-07", 125_000),
        ("2.9999e-06", 3_000_000),  # computed from a conversion rate
        ("0.0000029999900000000002", 3_000_000),
        ("5.0000000000000004e-08", 50_000),  # binary noise
        ("9.499999999999999E-7", 950_000),
        ("1.44375E-7", 144_375),  # six digits that were meant
        ("0.00000579425", 5_794_250),
        ("4.995e-06", 4_995_000),
        ("0", 0),
    ],
)
def test_a_price_is_an_integer_without_the_noise(written: str, picousd: int) -> None:
    assert to_picousd(Decimal(written)) == picousd


@given(st.integers(1, 999), st.integers(-3, 6))
def test_prices_of_three_digits_survive_a_trip_through_floats(digits: int, exponent: int) -> None:
    usd_per_million = digits * 10.0**exponent
    expected = digits * 10 ** (exponent + 6)
    if expected < 10_000 * 10**6:
        assert to_picousd(Decimal(usd_per_million / 1e6)) == expected


@pytest.mark.parametrize("written", ["-0.000001", "0.02"])
def test_a_price_in_the_wrong_unit_stops_the_build(written: str) -> None:
    with pytest.raises(ValueError, match="no sane price"):
        to_picousd(Decimal(written))


def test_a_band_takes_what_it_does_not_list_from_the_bands_below() -> None:
    bands = complete_bands(
        {
            BandKey(): {"input": 10, "output": 40, "cache_read": 1},
            BandKey("standard", 200_000): {"input": 20, "output": 60},
            BandKey("batch"): {"input": 5, "output": 20},
        }
    )

    assert bands[BandKey("standard", 200_000)] == {"input": 20, "output": 60, "cache_read": 1}
    assert bands[BandKey("batch")] == {"input": 5, "output": 20, "cache_read": 1}


def test_a_cheaper_band_does_not_keep_the_standard_price_of_reasoning() -> None:
    bands = complete_bands(
        {
            BandKey(): {"input": 10, "output": 40, "reasoning": 40},
            BandKey("batch"): {"input": 5, "output": 20},
        }
    )

    assert "reasoning" not in bands[BandKey("batch")]


def test_a_price_of_reasoning_that_differs_is_kept() -> None:
    bands = complete_bands({BandKey(): {"input": 10, "output": 40, "reasoning": 90}})

    assert bands[BandKey()]["reasoning"] == 90


def test_bands_without_an_input_price_are_dropped() -> None:
    assert complete_bands({BandKey(): {"output": 40}}) == {}
    assert set(
        complete_bands({BandKey(): {"input": 10}, BandKey("priority"): {"cache_read": 3}})
    ) == {BandKey()}


def test_a_regions_share_is_taken_on_every_plain_band() -> None:
    bands = {BandKey(): {"input": 15}, BandKey("batch"): {"input": 5}, BandKey(region="x"): {}}

    assert raise_prices(bands, "eu", Decimal("1.1")) == {
        BandKey(region="eu"): {"input": 16},  # 16.5, half to even
        BandKey("batch", 0, "eu"): {"input": 6},  # 5.5, half to even
    }
