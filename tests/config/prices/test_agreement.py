"""When two sources agree, when not, and which amount is used then."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from config.prices.agreement import is_within_tolerance, merge_listings
from config.prices.document import PRICE_BUCKETS
from config.prices.listing import BandKey, Listing, Prices

amounts = st.integers(1, 10**9)
price_maps = st.dictionaries(st.sampled_from(PRICE_BUCKETS[2:]), amounts).flatmap(
    lambda rest: st.fixed_dictionaries({"input": amounts, "output": amounts}).map(
        lambda base: {**base, **rest}
    )
)


def make_listing(prices: Prices, **changes: Any) -> Listing:
    return Listing("m", "chat", {BandKey(): prices}, **changes)


def standard_band(one: Prices | None, other: Prices | None, **changes: Any) -> dict[str, Any]:
    entry = merge_listings(
        "m",
        make_listing(one, **changes) if one else None,
        make_listing(other) if other else None,
    )
    band: dict[str, Any] = entry["bands"][0]
    return band


def test_equal_prices_are_agreed_and_need_no_further_word() -> None:
    band = standard_band({"input": 10, "output": 20}, {"input": 10, "output": 20})

    assert band == {
        "tier": "standard",
        "above_input_tokens": 0,
        "state": "agreed",
        "price": {"input": 10, "output": 20},
    }


def test_half_a_percent_is_agreed_and_the_higher_one_is_used() -> None:
    band = standard_band({"input": 1000, "output": 20}, {"input": 995, "output": 20})

    assert band["state"] == "agreed"
    assert band["price"]["input"] == 1000
    assert band["sources"] == {"litellm": {}, "genai-prices": {"input": 995}}


def test_more_than_half_a_percent_is_disputed_with_both_values() -> None:
    band = standard_band({"input": 1000, "output": 20}, {"input": 1006, "output": 20})

    assert band["state"] == "disputed"
    assert band["disputed"] == ["input"]
    assert band["price"]["input"] == 1006
    assert band["sources"]["litellm"] == {"input": 1000}
    assert band["reason"] == "sources differ by more than 0.5%: input"


def test_a_bucket_in_one_source_disputes_only_that_bucket() -> None:
    band = standard_band(
        {"input": 10, "output": 20, "audio_input": 90}, {"input": 10, "output": 20}
    )

    assert band["state"] == "disputed"
    assert band["disputed"] == ["audio_input"]
    assert band["price"]["audio_input"] == 90
    assert band["sources"]["genai-prices"] == {"audio_input": None}


def test_one_source_alone_is_disputed() -> None:
    for one, other in (({"input": 10}, None), (None, {"input": 10})):
        band = standard_band(one, other)
        assert band["state"] == "disputed"
        assert band["reason"] == "one source"
        assert "disputed" not in band  # all of it


def test_a_price_that_varies_by_time_is_disputed_even_if_both_say_so() -> None:
    band = standard_band(
        {"input": 10, "output": 20}, {"input": 10, "output": 20}, varies_by_time=True
    )

    assert band["state"] == "disputed"
    assert band["disputed"] == ["input", "output"]


def test_the_sources_defaults_count_as_said() -> None:
    seeing = {"vision": True}
    band = standard_band({"input": 10, "output": 20}, {"input": 10, "output": 20}, limits=seeing)
    assert band["price"]["image_input"] == 10
    assert band["state"] == "agreed"

    band = standard_band({"input": 10, "output": 20, "reasoning": 60}, {"input": 10, "output": 20})
    assert band["price"]["reasoning"] == 60
    assert band["disputed"] == ["reasoning"]
    assert band["sources"]["genai-prices"] == {"reasoning": 20}


def test_embeddings_have_no_output_price() -> None:
    entry = merge_listings(
        "e",
        Listing("e", "embedding", {BandKey(): {"input": 10, "output": 5}}),
        Listing("e", "", {BandKey(): {"input": 10}}),
    )

    assert entry["bands"][0]["price"] == {"input": 10}
    assert entry["bands"][0]["state"] == "agreed"
    assert entry["mode"] == "embedding"


def test_the_standard_band_comes_first() -> None:
    bands = {
        BandKey("batch"): {"input": 5},
        BandKey("standard", 200_000): {"input": 20},
        BandKey(): {"input": 10},
    }
    entry = merge_listings("m", Listing("acme/m", "chat", bands), None)

    conditions = [(band["tier"], band["above_input_tokens"]) for band in entry["bands"]]
    assert conditions == [("standard", 0), ("standard", 200_000), ("batch", 0)]


@given(price_maps, price_maps)
def test_the_price_is_never_below_a_source_and_agreement_is_symmetric(
    one: Prices, other: Prices
) -> None:
    band = standard_band(one, other)
    mirrored = standard_band(other, one)

    assert band["price"] == mirrored["price"]
    assert band["state"] == mirrored["state"]
    assert band.get("disputed") == mirrored.get("disputed")
    for stated in (one, other):
        for bucket, amount in stated.items():
            used = band["price"].get(bucket, band["price"]["output"])
            assert used >= amount


@given(amounts, amounts)
def test_tolerance_is_symmetric_and_exact(one: int, other: int) -> None:
    assert is_within_tolerance(one, other) == is_within_tolerance(other, one)
    assert is_within_tolerance(one, one)
    assert is_within_tolerance(one, other) == (abs(one - other) / max(one, other) <= 0.005)


def test_units_are_judged_one_by_one() -> None:
    one = make_listing({"input": 10}, units={"search": 1000, "image": 5})
    other = make_listing({"input": 10}, units={"search": 996})

    assert merge_listings("m", one, other)["units"] == {
        "image": {"picousd": 5, "state": "disputed", "sources": {"litellm": 5}},
        "search": {
            "picousd": 1000,
            "state": "agreed",
            "sources": {"litellm": 1000, "genai-prices": 996},
        },
    }


def test_a_model_of_units_alone_has_no_bands() -> None:
    entry = merge_listings("m", Listing("m", "audio_speech", {}, units={"characters": 7}), None)

    assert entry["bands"] == []
    assert entry["units"]["characters"]["state"] == "disputed"
