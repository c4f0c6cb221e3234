"""What a reviewed file must be, and what is refused, with a hint."""

from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.prices.reviewing import read_review

BOOK: dict[str, Any] = {
    "providers": {
        "openai": {
            "big": {
                "bands": [{"tier": "standard", "above_input_tokens": 0,
                           "price": {"input": 2_000_000, "output": 8_000_000}}],
                "units": {"image": {"picousd": 4 * 10**10, "state": "disputed"}},
                "limits": {"context": 1000},
            }
        }
    }
}  # fmt: skip


def review(tmp_path: Path, price: str, citation: str = "https://example.com/p") -> Path:
    path = tmp_path / "review.yaml"
    path.write_text(
        f"citation: {citation}\nprices:\n"
        f"  - {{provider: openai, valid_from: 2026-05-20, {price}}}\n"
    )
    return path


def test_a_whole_price(tmp_path: Path) -> None:
    price = (
        "model: big, valid_to: 2026-06-20, citation: 'the page of May', mode: chat, bands: ["
        "{tier: batch, usd_per_million: {input: 1, output: 4}},"
        "{usd_per_million: {input: 2.5, cache_read: 0.25, output: 10}},"
        "{region: eu, usd_per_million: {input: 2.75}},"
        "{above_input_tokens: 200000, usd_per_million: {input: 5, output: 15}}]"
    )
    (row,) = read_review(review(tmp_path, price), BOOK).rows

    assert (row.valid_from, row.valid_to) == ("2026-05-20", "2026-06-20")
    assert row.entry is not None
    bands = row.entry["bands"]
    assert [(b["tier"], b["above_input_tokens"], b.get("region", "")) for b in bands] == [
        ("standard", 0, ""), ("standard", 200_000, ""), ("batch", 0, ""), ("standard", 0, "eu"),
    ]  # fmt: skip
    assert bands[0]["price"] == {"input": 2_500_000, "cache_read": 250_000, "output": 10_000_000}
    assert (row.entry["citation"], row.entry["limits"]) == ("the page of May", {"context": 1000})


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ("model: big", "no price"),
        ("model: big, bands: [{usd_per_million: {input: 0.0000025}}]", "looks like a price per"),
        ("model: big, bands: [{usd_per_million: {input: 2500000}}]", "between 0 and 10000"),
        ("model: big, bands: [{usd_per_million: {input: 41}}]", "more than 20 times"),
        ("model: big, bands: [{usd_per_million: {input: 0.09}}]", "more than 20 times"),
        ("model: big, usd_per_unit: {image: 40}", "more than 20 times"),
        ("model: big, usd_per_unit: {image: 400}", "between 0 and 100 USD"),
        ("model: big, usd_per_unit: {image: 0}", "a price is zero"),
        ("model: big, bands: [{usd_per_million: {input: 2, cache_read: 3}}]", "cache costs more"),
        ("model: big, bands: [{usd_per_million: {output: 2}}]", "needs the price of input"),
        ("model: big, bands: [{tier: batch, usd_per_million: {input: 2}}]", "standard tier"),
        ("model: big, bands: [{tier: slow, usd_per_million: {input: 2}}]", "must be"),
        ("model: big, bands: [{usd_per_million: {inputs: 2}}]", "inputs"),
        ("model: big, bands: [{usd_per_million: {input: 2}}, {usd_per_million: {input: 2}}]",
         "same condition"),
        ("model: big, valid_to: 2026-05-20, usd_per_unit: {image: 0.04}", "not after"),
        ("model: big, usd_per_unit: {'Im age': 0.04}", "Im age"),
        ("model: big, price: 3, usd_per_unit: {image: 0.04}", "unknown key"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_its_place_and_a_hint(
    tmp_path: Path, price: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_review(review(tmp_path, price), BOOK)
    assert "review.yaml:" in caught.value.message
    assert caught.value.hint


def test_an_unknown_provider_gets_near_names(tmp_path: Path) -> None:
    path = review(tmp_path, "model: m, usd_per_unit: {image: 1}")
    path.write_text(path.read_text().replace("openai", "openia"))
    with pytest.raises(ConfigError, match="did you mean openai"):
        read_review(path, BOOK)


def test_a_citation_is_required(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="citation"):
        read_review(review(tmp_path, "model: m, usd_per_unit: {image: 1}", "''"), BOOK)


def test_what_is_said_to_be_free_or_a_large_change_is_taken(tmp_path: Path) -> None:
    free = "model: m, mode: moderation, is_free: true, usd_per_unit: {moderation_calls: 0}"
    (row,) = read_review(review(tmp_path, free), BOOK).rows
    assert row.entry is not None
    assert row.entry["units"] == {"moderation_calls": {"picousd": 0, "state": "agreed"}}
    large = "model: big, is_a_large_change: true, bands: [{usd_per_million: {input: 50}}]"
    (row,) = read_review(review(tmp_path, large), BOOK).rows
    assert row.entry is not None
    assert row.entry["bands"][0]["price"] == {"input": 50_000_000}


def test_one_model_twice_is_refused(tmp_path: Path) -> None:
    path = review(tmp_path, "model: m, usd_per_unit: {image: 1}")
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    with pytest.raises(ConfigError, match="two prices"):
        read_review(path, BOOK)
