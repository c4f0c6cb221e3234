"""The verb `prices` as an operator uses it, without a gateway running."""

import json
from pathlib import Path

import pytest

from tests.gateway import clean_environment, run_verb

CONFIG = """
upstreams:
  local: {kind: openai, base_url: "http://127.0.0.1:9/v1", allow_private: true}
  bare: {kind: openai, base_url: "http://127.0.0.1:8/v1", allow_private: true}
default_upstream: local
models:
  house:
    upstreams: [local]
    price: {input_per_million_usd: 0.5, output_per_million_usd: 0.8, citation: the bill of May}
  free:
    upstreams: [bare]
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "apex.yaml"
    config.write_text(CONFIG)
    return clean_environment(tmp_path, {"APEX_CONFIG": str(config)})


async def verb(environ: dict[str, str], *words: str) -> str:
    code, out, err = await run_verb("prices", *words, environ=environ)
    assert (code, err) == (0, "")
    return out


async def refused(environ: dict[str, str], *words: str) -> str:
    code, out, err = await run_verb("prices", *words, environ=environ)
    assert (code, out) == (2, "")
    assert "hint:" in err
    return err


async def test_prices_are_listed_as_a_table_and_as_json(environ: dict[str, str]) -> None:
    lines = (await verb(environ, "list", "--provider", "anthropic")).splitlines()
    assert lines[0].split() == ["model", "state", "input", "output", "cache", "read", "also"]
    assert any(line.split()[:3] == ["anthropic/claude-sonnet-4-5", "agreed", "3"] for line in lines)
    answer = json.loads(await verb(environ, "list", "--state", "disputed", "--json"))
    assert {row["state"] for row in answer["rows"]} == {"disputed"}
    assert len(answer["price_book"]) == 64


async def test_what_nobody_prices_is_listed_as_unknown(environ: dict[str, str]) -> None:
    answer = json.loads(await verb(environ, "list", "--state", "unknown", "--json"))
    assert [(row["provider"], row["model"]) for row in answer["rows"]] == [("bare", "free")]
    assert "bare/free" in await verb(environ, "list", "--state", "unknown")


async def test_a_cost_is_worked_out_for_a_target_or_a_listed_model(
    environ: dict[str, str],
) -> None:
    out = await verb(environ, "explain", "house", "--input-tokens", "2000")
    assert out.splitlines()[-1] == "  total 0.001 USD, agreed"
    out = await verb(
        environ, "explain", "openai/gpt-4o", "--tier", "batch", "--input-tokens", "1000",
        "--output-tokens", "100", "--unit", "file_search_calls=2",
    )  # fmt: skip
    assert "  1000 input_tokens x 1.25 per million = 0.00125 USD" in out
    assert "file_search_calls" in out


async def test_two_books_are_compared_by_path_or_hash(
    environ: dict[str, str], tmp_path: Path
) -> None:
    book = Path(__file__).resolve().parents[2] / "config" / "prices" / "book.json"
    assert "say the same" in await verb(environ, "diff", str(book))
    old = tmp_path / "old.json"
    old.write_bytes(book.read_bytes().replace(b'"gpt-4o-mini":', b'"gpt-4o-mono":', 1))
    out = await verb(environ, "diff", str(old), str(book))
    assert "azure/gpt-4o-mini" in out
    assert "in 2 models" in out
    assert "neither a file nor a hash" in await refused(environ, "diff", "0123456789")


async def test_nonsense_is_refused_with_a_hint(environ: dict[str, str], tmp_path: Path) -> None:
    assert "did you mean anthropic" in await refused(environ, "list", "--provider", "antropic")
    review = tmp_path / "review.yaml"
    review.write_text("citation: https://example.com/pricing\nprices: []\n")
    assert "review.yaml" in await refused(environ, "update", "--file", str(review))
    assert "is no unit" in await refused(environ, "explain", "house", "--unit", "x")
