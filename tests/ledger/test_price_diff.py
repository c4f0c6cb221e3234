"""What two books say otherwise, and nothing else."""

from copy import deepcopy
from typing import Any

from config.prices.document import canonical_bytes, read_document
from ledger.price_book import PriceBook, build_effective_book
from ledger.price_diff import diff_books
from ledger.rating import Price

DOCUMENT: dict[str, Any] = {
    "header": {"schema": 2},
    "providers": {
        "openai": {
            "big": {
                "bands": [
                    {"tier": "standard", "above_input_tokens": 0, "state": "agreed",
                     "price": {"input": 2_500_000}},
                    {"tier": "flex", "above_input_tokens": 1000, "region": "eu",
                     "state": "disputed", "price": {"input": 1_000_000}},
                ],
                "units": {"image": {"picousd": 4 * 10**10, "state": "disputed"}},
            }
        }
    },
}  # fmt: skip


def book_of(document: dict[str, Any]) -> PriceBook:
    return PriceBook(canonical_bytes(document))


def test_a_book_differs_from_itself_in_nothing() -> None:
    shipped = PriceBook(canonical_bytes(read_document()))
    assert diff_books(shipped, shipped) == []


def test_every_kind_of_change_is_a_row() -> None:
    changed = deepcopy(DOCUMENT)
    entry = changed["providers"]["openai"]["big"]
    entry["bands"][0]["price"] = {"input": 3_000_000, "output": 5_000_000}
    del entry["bands"][1]
    entry["units"]["image"] = {"picousd": 4 * 10**10, "state": "agreed"}

    assert diff_books(book_of(DOCUMENT), book_of(changed)) == [
        ("openai/big", "apiece: image", "0.04 (disputed)", "0.04 (agreed)"),
        ("openai/big", "flex above 1000 input tokens in eu: input", "1", "-"),
        ("openai/big", "flex above 1000 input tokens in eu: state", "disputed", "-"),
        ("openai/big", "standard: input", "2.5", "3"),
        ("openai/big", "standard: output", "-", "5"),
    ]


def test_the_operators_prices_are_compared_too() -> None:
    declared = build_effective_book(DOCUMENT, {("local", "q"): Price(input=500_000)})

    assert diff_books(book_of(DOCUMENT), book_of(declared)) == [
        ("local/q", "declared: citation", "-", "none"),
        ("local/q", "declared: input", "-", "0.5"),
    ]
