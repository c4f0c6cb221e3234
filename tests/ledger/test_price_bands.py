"""Which band holds: tiers, thresholds, regions, and what is done where none is listed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.price_bands import BandedPrice, QuoteLadder, Service, override_quote, tiers_of
from ledger.rating import Price, PriceState, Quote, TokenBuckets, cost_picousd

LONG = 200_001


def band(amount: int, tier: str = "standard", above: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "tier": tier, "above_input_tokens": above, "state": "agreed",
        "price": {"input": amount, "output": 4 * amount}, **more,
    }  # fmt: skip


ENTRY = {
    "bands": [
        band(10), band(20, above=200_000), band(5, "batch"), band(11, "batch", 200_000),
        band(15, "priority"), band(11, region="eu"), band(21, above=200_000, region="eu"),
    ]
}  # fmt: skip


def quote_input(service: Service, entry: dict[str, Any] = ENTRY) -> tuple[int | None, str]:
    quote = BandedPrice(entry).quote(service)
    assert quote.price is not None
    return quote.price.input, quote.state.value


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (Service(), (10, "agreed")),
        (Service(input_tokens=200_000), (10, "agreed")),
        (Service(input_tokens=LONG), (20, "agreed")),
        (Service(("batch",)), (5, "agreed")),
        (Service(("batch",), LONG), (11, "agreed")),
        (Service(("priority",)), (15, "agreed")),
        (Service(("fast",)), (15, "agreed")),
        (Service(region="eu"), (11, "agreed")),
        (Service(region="eu", input_tokens=LONG), (21, "agreed")),
        (Service(region="global"), (10, "agreed")),
        # Not listed: never the lower one, and never agreed.
        (Service(("priority",), LONG), (20, "disputed")),
        (Service(("flex",)), (10, "disputed")),
        (Service(("batch",), region="eu"), (11, "disputed")),
        (Service(region="mars"), (10, "disputed")),
        (Service(()), (15, "disputed")),
        (Service((), LONG), (20, "disputed")),
        (Service(("standard", "priority")), (15, "disputed")),
    ],
)
def test_the_band_that_holds(service: Service, expected: tuple[int, str]) -> None:
    assert quote_input(service) == expected


def test_a_region_nobody_lists_anything_for_costs_the_plain_price() -> None:
    assert quote_input(Service(region="westeurope"), {"bands": [band(10)]}) == (10, "agreed")


def test_any_region_but_the_global_one_may_be_listed_as_regional() -> None:
    entry = {"bands": [band(10), band(11, region="regional")]}
    assert quote_input(Service(region="us-east5"), entry) == (11, "agreed")
    assert quote_input(Service(region="global"), entry) == (10, "agreed")


def test_a_reason_says_what_was_not_listed() -> None:
    quote = BandedPrice(ENTRY).quote(Service(("priority",), LONG))
    assert quote.reason == "no priority price is listed above 200000 input tokens"
    assert quote.agreed_buckets == frozenset()


@given(
    st.lists(st.sampled_from(["standard", "batch", "flex", "priority", "fast"]), max_size=3),
    st.integers(0, 400_000),
    st.sampled_from(["", "eu", "mars", "global"]),
)
def test_a_doubt_never_costs_less_than_what_may_have_been_served(
    tiers: list[str], tokens: int, region: str
) -> None:
    bands = BandedPrice(ENTRY)
    buckets = TokenBuckets(input_tokens=tokens, output_tokens=7)
    together = bands.quote(Service(tuple(tiers), tokens, region)).price
    assert together is not None
    for tier in tiers:
        alone = bands.quote(Service((tier,), tokens, region)).price
        assert alone is not None
        assert (cost_picousd(buckets, together) or 0) >= (cost_picousd(buckets, alone) or 0)


@pytest.mark.parametrize(
    ("served", "requested", "tiers"),
    [
        ("", "", ("standard",)),
        ("default", "priority", ("standard",)),
        ("auto", "", ("standard",)),
        ("FLEX", "", ("flex",)),
        ("batch", "", ("batch",)),
        ("fast", "", ("fast",)),
        ("ON_DEMAND", "", ("standard",)),
        ("turbo", "", ()),
        ("", "auto", ("standard",)),
        ("", "flex", ("standard", "flex")),
        ("", "turbo", ("standard",)),
    ],
)
def test_words_of_tiers(served: str, requested: str, tiers: tuple[str, ...]) -> None:
    assert tiers_of(served, requested) == tiers


def test_an_entry_without_bands_is_priced_by_unit() -> None:
    units = {
        "image": {"picousd": 7, "state": "agreed"},
        "characters": {"picousd": 3, "state": "disputed"},
    }
    quote = BandedPrice({"bands": [], "units": units}).quote(Service())
    assert (quote.price, quote.state) == (None, PriceState.disputed)
    assert quote.units == {"image": 7, "characters": 3}
    assert quote.agreed_units == {"image"}


def test_an_override_is_agreed_only_with_a_citation() -> None:
    cited = override_quote({"price": {"input": 1}, "citation": "the contract of May"})
    bare = override_quote({"price": {"input": 1}, "citation": ""})
    assert (cited.state, cited.agreed_buckets) == (PriceState.agreed, frozenset({"input"}))
    assert (bare.state, bare.agreed_buckets) == (PriceState.disputed, frozenset())
    assert cited.price == bare.price == Price(input=1)
    assert "without a citation" in bare.reason


tokens = st.sampled_from([0, 1, 199_999, 200_000, 200_001, 300_000]) | st.integers(0, 10**9)
tier_words = st.sampled_from(["standard", "batch", "priority", "fast", "flex"])


@given(
    st.lists(tier_words, max_size=2).map(tuple),
    st.sampled_from(["", "eu", "mars", "global"]),
    st.lists(tokens, min_size=1, max_size=5),
)
def test_a_ladder_quotes_what_the_bands_quote(
    tiers: tuple[str, ...], region: str, used: list[int]
) -> None:
    service = Service(tiers, 0, region)
    ladder = BandedPrice(ENTRY).ladder(service)
    for count in used:
        fresh = BandedPrice(ENTRY).quote(service._replace(input_tokens=count))
        assert ladder.quote(count) == fresh


def test_a_ladder_asks_once_a_step() -> None:
    asked: list[int] = []
    quotes = {number: override_quote({"price": {"input": number}}) for number in (1, 11, 12, 21)}

    def quote_at(count: int) -> Quote:
        asked.append(count)
        return quotes[count]

    ladder = QuoteLadder(quote_at, (10, 20))
    given_out = [ladder.quote(count).price for count in (1, 10, 11, 20, 21, 99, 0)]
    assert asked == [1, 11, 21]
    assert given_out == [Price(input=number) for number in (1, 1, 11, 11, 21, 21, 1)]
