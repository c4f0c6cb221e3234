"""The calculator: additive, proportional, monotone, and never zero for unknown."""

from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.prices.document import PRICE_BUCKETS
from ledger.events import TOKEN_BUCKETS
from ledger.rating import (
    Price,
    PriceState,
    Quote,
    TokenBuckets,
    cost_picousd,
    state_for,
)

counts = st.integers(0, 10**6)
amounts = st.integers(0, 10**10)
bucket_sets = st.builds(TokenBuckets, **dict.fromkeys(TOKEN_BUCKETS, counts))
full_prices = st.builds(Price, **dict.fromkeys(PRICE_BUCKETS, amounts))
any_prices = st.builds(Price, **{name: st.none() | amounts for name in PRICE_BUCKETS})


def add(one: TokenBuckets, other: TokenBuckets) -> TokenBuckets:
    return TokenBuckets(*map(sum, zip(one, other, strict=True)))


def cost(buckets: TokenBuckets, price: Price) -> int:
    found = cost_picousd(buckets, price)
    assert found is not None
    return found


@given(bucket_sets, bucket_sets, full_prices)
def test_costs_add_up(one: TokenBuckets, other: TokenBuckets, price: Price) -> None:
    assert cost(add(one, other), price) == cost(one, price) + cost(other, price)


@given(bucket_sets, full_prices, st.integers(0, 1000))
def test_costs_scale_with_prices_and_with_tokens(
    buckets: TokenBuckets, price: Price, factor: int
) -> None:
    dearer = Price(**{name: amount * factor for name, amount in asdict(price).items()})
    longer = TokenBuckets(**{name: count * factor for name, count in buckets._asdict().items()})

    assert cost(buckets, dearer) == factor * cost(buckets, price)
    assert cost(longer, price) == factor * cost(buckets, price)


@given(bucket_sets, full_prices, st.sampled_from(PRICE_BUCKETS), amounts)
def test_a_higher_price_never_costs_less(
    buckets: TokenBuckets, price: Price, field: str, rise: int
) -> None:
    dearer = replace(price, **{field: getattr(price, field) + rise})

    assert cost(buckets, dearer) >= cost(buckets, price)


@given(bucket_sets, any_prices)
def test_an_unknown_price_is_never_zero(buckets: TokenBuckets, price: Price) -> None:
    known_costs = [
        cost_picousd(TokenBuckets(**{name: count}), price)
        for name, count in buckets._asdict().items()
        if count
    ]

    found = cost_picousd(buckets, price)
    if None in known_costs:
        assert found is None
    else:
        assert found == sum(part for part in known_costs if part is not None)


@given(bucket_sets)
def test_without_any_price_only_nothing_costs_nothing(buckets: TokenBuckets) -> None:
    is_empty = buckets == TokenBuckets()

    assert cost_picousd(buckets, Price()) == (0 if is_empty else None)


def test_a_worked_example_to_the_pico() -> None:
    # 400 x 2.50 + 800 x 0.25 + 315 x 15.00 USD per million = 5,925 micro-USD
    price = Price(input=2_500_000, cache_read=250_000, output=15_000_000)
    buckets = TokenBuckets(input_tokens=400, cache_read_tokens=800, output_tokens=315)

    assert cost_picousd(buckets, price) == 5_925 * 10**6


@pytest.mark.parametrize(
    ("bucket", "price", "expected"),
    [
        ("cache_read_tokens", Price(input=7), 7),
        ("cache_write_5m_tokens", Price(input=7), 7),
        ("cache_write_1h_tokens", Price(input=7), 7),
        ("cache_write_1h_tokens", Price(input=7, cache_write_5m=9), 9),
        ("reasoning_tokens", Price(output=11), 11),
        ("reasoning_tokens", Price(output=11, reasoning=13), 13),
        ("audio_input_tokens", Price(input=7), None),
        ("image_input_tokens", Price(input=7), None),
        ("audio_output_tokens", Price(output=11), None),
        ("image_output_tokens", Price(output=11), None),
        ("output_tokens", Price(input=7), None),
    ],
)
def test_documented_stand_ins_and_no_others(
    bucket: str, price: Price, expected: int | None
) -> None:
    assert cost_picousd(TokenBuckets(**{bucket: 1}), price) == expected


def test_a_declared_zero_is_a_price() -> None:
    assert cost_picousd(TokenBuckets(input_tokens=5), Price(input=0)) == 0


def test_a_disputed_bucket_taints_only_what_used_it() -> None:
    quote = Quote(
        PriceState.disputed,
        Price(input=1, output=2, audio_input=9),
        "book",
        frozenset({"input", "output"}),
    )

    assert state_for(quote, TokenBuckets(input_tokens=1)) is PriceState.agreed
    assert state_for(quote, TokenBuckets(cache_read_tokens=1)) is PriceState.agreed
    assert state_for(quote, TokenBuckets(audio_input_tokens=1)) is PriceState.disputed
    assert state_for(quote, TokenBuckets(audio_output_tokens=1)) is PriceState.unknown


def test_an_unknown_quote_stays_unknown() -> None:
    unknown = Quote(PriceState.unknown, None, "none")

    assert state_for(unknown, TokenBuckets()) is PriceState.unknown


def test_the_names_are_the_ones_of_the_events_and_of_the_book() -> None:
    assert TokenBuckets._fields == TOKEN_BUCKETS
    assert tuple(field.name for field in fields(Price)) == PRICE_BUCKETS
