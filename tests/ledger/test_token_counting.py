"""Tokens offline: known counts, families, hostile texts, and imports that stay late."""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger import token_counting
from ledger.token_counting import FILES, EncodingMissingError, TokenCounter, encoding_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter()


@pytest.mark.parametrize(
    ("text", "encoding", "tokens"),
    [
        # From openai-cookbook, How_to_count_tokens_with_tiktoken, "Comparing encodings".
        ("antidisestablishmentarianism", "cl100k_base", 6),
        ("antidisestablishmentarianism", "o200k_base", 6),
        ("2 + 2 = 4", "cl100k_base", 7),
        ("お誕生日おめでとう", "cl100k_base", 9),
        ("お誕生日おめでとう", "o200k_base", 8),
        ("", "o200k_base", 0),
    ],
)
def test_published_counts(counter: TokenCounter, text: str, encoding: str, tokens: int) -> None:
    assert counter.count(text, encoding) == tokens


@pytest.mark.parametrize(
    ("model", "encoding", "is_exact"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base", True),
        ("chatgpt-4o-latest", "o200k_base", True),
        ("gpt-4.1-nano", "o200k_base", True),
        ("gpt-5-mini", "o200k_base", True),
        ("o3", "o200k_base", True),
        ("o4-mini", "o200k_base", True),
        ("openai/gpt-oss-120b", "o200k_base", True),
        ("ft:gpt-4o-mini:acme::1", "o200k_base", True),
        ("gpt-4", "cl100k_base", True),
        ("gpt-4-turbo", "cl100k_base", True),
        ("gpt-3.5-turbo-0125", "cl100k_base", True),
        ("gpt-35-turbo", "cl100k_base", True),
        ("text-embedding-3-small", "cl100k_base", True),
        ("gpt-6", "o200k_base", False),
        ("o10-mini", "cl100k_base", False),
        ("claude-sonnet-4-5", "cl100k_base", False),
        ("models/gemini-2.5-flash", "cl100k_base", False),
        ("", "cl100k_base", False),
    ],
)
def test_families(model: str, encoding: str, is_exact: bool) -> None:
    choice = encoding_of(model)
    assert (choice.name, choice.is_exact) == (encoding, is_exact)


def test_special_tokens_are_plain_text(counter: TokenCounter) -> None:
    assert counter.count("<|endoftext|>", "o200k_base") > 1


def test_half_a_character_is_counted_all_the_same(counter: TokenCounter) -> None:
    assert counter.count("\ud83d", "o200k_base") > 0


@pytest.mark.parametrize("text", ["a" * 400_000, " " * 400_000, "\n" * 400_000, "字" * 100_000])
def test_a_run_without_borders_takes_bounded_time(counter: TokenCounter, text: str) -> None:
    begun = time.process_time()
    assert counter.count(text, "cl100k_base") > 0
    assert time.process_time() - begun < 10


def test_slices_add_almost_nothing(counter: TokenCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 1000
    sliced = counter.count(text, "o200k_base")
    monkeypatch.setattr(token_counting, "SLICE_CHARACTERS", len(text))
    whole = counter.count(text, "o200k_base")
    assert 0 <= sliced - whole < whole * 0.01


def test_nothing_is_fetched_for_a_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "o200k_base", "no-such-file")
    with pytest.raises(EncodingMissingError, match="no file of o200k_base"):
        TokenCounter().count("text", "o200k_base")


def test_without_litellm_it_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EncodingMissingError, match="litellm is not installed"):
        TokenCounter().count("text", "o200k_base")


def test_imports_are_late_and_litellm_is_never_imported() -> None:
    program = """
import sys
import ledger.estimates
assert "tiktoken" not in sys.modules
from ledger.token_counting import TokenCounter
assert TokenCounter().count("hello world", "o200k_base") == 2
assert "tiktoken" in sys.modules and "litellm" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
