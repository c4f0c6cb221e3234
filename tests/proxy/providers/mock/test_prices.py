"""The mock's own arithmetic, worked out by hand."""

from pathlib import Path

import orjson
import pytest

from proxy.providers.mock.prices import PriceTable
from proxy.providers.mock.rendering import Usage

BOOK = {
    "providers": {
        "openai": {
            "one": {
                "bands": [
                    {"above_input_tokens": 0, "price": {"input": 10, "output": 40}},
                    {"above_input_tokens": 100, "price": {"input": 20, "output": 60}},
                    {"tier": "batch", "price": {"input": 1, "output": 1}},
                ]
            }
        },
        "anthropic": {
            "one": {"bands": [{"price": {"input": 999, "output": 999}}]},
            "two": {
                "bands": [{"price": {"input": 10, "cache_read": 1, "output": 40, "reasoning": 50}}]
            },
            "writes": {
                "bands": [{"price": {"input": 10, "cache_write_5m": 12, "cache_write_1h": 20}}]
            },
        },
    }
}


@pytest.fixture
def table(tmp_path: Path) -> PriceTable:
    path = tmp_path / "book.json"
    path.write_bytes(orjson.dumps(BOOK))
    return PriceTable.load(path)


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("one", Usage(100, output_tokens=2), 100 * 10 + 2 * 40),
        ("one", Usage(101, output_tokens=2), 101 * 20 + 2 * 60),
        ("one", Usage(100, cached_tokens=60, reasoning_tokens=3), 100 * 10 + 3 * 40),
        ("one", Usage(100, audio_tokens=1), None),
        ("one", Usage(0), 0),
        ("two", Usage(10, 4, 0, 2, 3), 6 * 10 + 4 * 1 + 2 * 40 + 3 * 50),
        ("three", Usage(10), None),
        ("two", Usage(10, 4, cache_write_5m_tokens=5), 6 * 10 + 4 * 1),
        ("three", Usage(10, cache_write_1h_tokens=5), None),
        ("writes", Usage(10, 1, 0, 0, 0, 2, 3), 4 * 10 + 1 * 10 + 2 * 12 + 3 * 20),
    ],
)
def test_cost(table: PriceTable, model: str, usage: Usage, cost: int | None) -> None:
    assert table.cost_picousd(model, usage) == cost


def test_committed_book() -> None:
    cost = PriceTable.load().cost_picousd("gpt-4o", Usage(1000, 0, 0, 100))
    assert cost == 1000 * 2_500_000 + 100 * 10_000_000  # $2.50 and $10 per million
