"""The arithmetic of tiers, audio and images, worked out by hand."""

from pathlib import Path

import orjson
import pytest

from proxy.providers.mock.buckets import BucketPrices, Buckets, Charge
from proxy.providers.mock.rendering import Usage

BOOK = {
    "providers": {
        "openai": {
            "one": {
                "bands": [
                    {"above_input_tokens": 0, "price": {"input": 10, "output": 40}},
                    {"above_input_tokens": 100, "price": {"input": 20, "output": 60}},
                    {"tier": "batch", "price": {"input": 5, "output": 20, "cache_read": 1}},
                    {"region": "eu", "price": {"input": 999}},
                ]
            },
            "loud": {"bands": [{"price": {"audio_input": 7, "audio_output": 9, "input": 1}}]},
        },
        "gemini": {"one": {"bands": [{"tier": "flex", "price": {"input": 1}}]}},
    }
}


@pytest.fixture
def prices(tmp_path: Path) -> BucketPrices:
    path = tmp_path / "book.json"
    path.write_bytes(orjson.dumps(BOOK))
    return BucketPrices.load(path)


@pytest.mark.parametrize(
    ("charge", "cost"),
    [
        (Charge("one", Buckets(100, output_tokens=2)), 100 * 10 + 2 * 40),
        (Charge("one", Buckets(60, cache_read_tokens=41)), 101 * 20),
        (Charge("one", Buckets(100, reasoning_tokens=3), tier="batch"), 100 * 5 + 3 * 20),
        (Charge("one", Buckets(10, cache_read_tokens=4), tier="batch"), 10 * 5 + 4 * 1),
        (Charge("one", Buckets(1), tier="flex"), None),
        (Charge("one", Buckets(1, image_input_tokens=1)), None),
        (Charge("loud", Buckets(1, audio_input_tokens=2, audio_output_tokens=3)), 1 + 14 + 27),
        (Charge("loud", Buckets(), units={"seconds": 1}), None),
        (Charge("loud", Buckets()), 0),
        (Charge("none", Buckets(1)), None),
    ],
)
def test_cost(prices: BucketPrices, charge: Charge, cost: int | None) -> None:
    assert prices.cost_picousd(charge) == cost


def test_committed_book_halves_batches() -> None:
    prices = BucketPrices.load()
    buckets = Buckets(1000, output_tokens=100)
    whole = prices.cost_picousd(Charge("gpt-4o", buckets))
    assert whole == 1000 * 2_500_000 + 100 * 10_000_000
    assert prices.cost_picousd(Charge("gpt-4o", buckets, tier="batch")) == whole // 2


def test_usage_falls_into_disjoint_buckets() -> None:
    buckets = Buckets.of(Usage(10, 4, 3, 2, 1))
    assert buckets == Buckets(3, 4, 3, output_tokens=2, reasoning_tokens=1)
    assert (buckets.prompt_tokens(), buckets.completion_tokens()) == (10, 3)
    assert buckets.plus(buckets).cache_read_tokens == 8
