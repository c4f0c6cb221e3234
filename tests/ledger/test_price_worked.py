"""Every product of a cost is shown, and the sum is the calculator's."""

from ledger.end_rating import Used
from ledger.price_worked import worked_rows
from ledger.rating import Price, PriceState, Quote, TokenBuckets

QUOTE = Quote(
    PriceState.agreed,
    Price(input=2_500_000, output=10_000_000),
    "book",
    frozenset({"input", "output"}),
)
TOOLS = Quote(PriceState.disputed, None, "book", units={"web_search_calls": 10**10})


def test_tokens_and_units_are_lines_and_the_last_is_the_sum() -> None:
    used = Used(TokenBuckets(input_tokens=1000, output_tokens=10), {"web_search_calls": 2})

    assert worked_rows("big", QUOTE, TOOLS, used) == [
        "worked for big",
        "  1000 input_tokens x 2.5 per million = 0.0025 USD",
        "  10 output_tokens x 10 per million = 0.0001 USD",
        "  2 web_search_calls x 0.01 = 0.02 USD",
        "  total 0.0226 USD, disputed",
    ]


def test_what_has_no_price_is_named() -> None:
    used = Used(TokenBuckets(audio_input_tokens=5), {"teleports": 1})

    assert worked_rows("big", QUOTE, TOOLS, used)[1:] == [
        "  5 audio_input_tokens: no price",
        "  1 teleports: no price",
        "  total unknown, unknown",
    ]


def test_a_reason_is_said() -> None:
    unknown = Quote(PriceState.unknown, None, "none", reason="nobody lists it")
    rows = worked_rows("big", unknown, unknown, Used(TokenBuckets(input_tokens=1), {}))

    assert rows == [
        "worked for big (nobody lists it)",
        "  1 input_tokens: no price",
        "  total unknown, unknown",
    ]
