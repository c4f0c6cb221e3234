"""Prices by the piece: which name fits, what is paid beside tokens, and never zero for unknown."""

import pytest

from ledger.rating import PriceState, Quote
from ledger.unit_rating import charged_units, unit_price, units_cost

PRICES = {"image:1024x1024:high": 9, "image:1024x1024": 5, "image:512x512:low": 2, "search": 3}


def quote(agreed: frozenset[str] = frozenset(), **units: int) -> Quote:
    return Quote(PriceState.disputed, None, "book", units=units, agreed_units=agreed)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("image:1024x1024:high", (9, "image:1024x1024:high")),
        ("image:1024x1024:low", (5, "image:1024x1024")),
        ("image", (9, "image:1024x1024:high")),
        ("image:512x512", (2, "image:512x512:low")),
        ("image:64x64", None),
        ("search:high", (3, "search")),
        ("sear", None),
    ],
)
def test_the_most_particular_name_that_fits(unit: str, expected: tuple[int, str] | None) -> None:
    assert unit_price(PRICES, unit) == expected


def test_what_tokens_measure_too_is_not_paid_twice() -> None:
    units = {"image:1024x1024:high": 1, "audio_input_ms": 10, "web_search_calls": 2, "none": 0}
    assert charged_units(units, quote(), has_tokens=True) == {"web_search_calls": 2}
    assert charged_units(units, quote(), has_tokens=False) == {
        "image:1024x1024:high": 1, "audio_input_ms": 10, "web_search_calls": 2,
    }  # fmt: skip


def test_a_fee_for_every_request_is_always_owed() -> None:
    assert charged_units({}, quote(requests=4), has_tokens=True) == {"requests": 1}


def test_the_model_pays_before_its_provider_and_nobody_pays_zero() -> None:
    model = quote(frozenset({"search"}), search=3)
    tools = quote(search=8, session=10)
    assert units_cost({"search": 2}, (model, tools)) == (6, PriceState.agreed)
    assert units_cost({"search": 2, "session": 1}, (model, tools)) == (16, PriceState.disputed)
    assert units_cost({"search": 2, "other": 1}, (model, tools)) is None
    assert units_cost({"free": 5}, (quote(frozenset({"free"}), free=0),)) == (0, PriceState.agreed)


def test_a_guess_among_particulars_is_disputed() -> None:
    sized = Quote(PriceState.agreed, None, "book", units=PRICES, agreed_units=frozenset(PRICES))
    assert units_cost({"image:1024x1024:low": 1}, (sized,)) == (5, PriceState.agreed)
    assert units_cost({"image": 1}, (sized,)) == (9, PriceState.disputed)
