"""Worked costs in providers' public documents, recomputed from usage as the provider reports it.

Each has its origin, the published figure, and what the shipped book makes of it. Where the two
differ the example is kept and says why: prices move, and pages have slips of their own.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from ledger.amounts import usd_text
from ledger.end_rating import Used, cost_of
from ledger.price_bands import Service, tiers_of
from ledger.price_book import PriceBook, load_price_book
from ledger.rating import PriceState
from ledger.usage_dialects import buckets_from_usage, tier_from_usage
from ledger.usage_units import units_from_usage

CLAUDE = "platform.claude.com/docs/en/about-claude/pricing, read from copies of 2025 and 2026"
GOOGLE = "ai.google.dev/gemini-api/docs/pricing"
XAI = "docs.x.ai/developers/cost-tracking"
OPENAI = "developers.openai.com/api/docs/pricing and the model pages"
REALTIME = "developers.openai.com/api/docs/models/gpt-realtime-1.5.md"
DEEPSEEK = "api-docs.deepseek.com/quick_start/pricing-details-usd, early 2025"
SEARCH_USAGE = {
    "input_tokens": 105, "output_tokens": 6039, "cache_read_input_tokens": 7123,
    "cache_creation_input_tokens": 7345, "server_tool_use": {"web_search_requests": 1},
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """`published` is the document's figure in USD, `book` ours where it is another one."""

    origin: str
    provider: str
    model: str
    published: str
    usage: dict[str, Any] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    tier: str = ""
    region: str = ""
    book: str = ""
    why: str = ""


def claude(fresh: int, output: int, **more: int) -> dict[str, Any]:
    return {"input_tokens": fresh, "output_tokens": output, **more}


def gemini(prompt: int, answer: int, **images: int) -> dict[str, Any]:
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        **{name: [{"modality": "IMAGE", "tokenCount": tokens}] for name, tokens in images.items()},
    }


EXAMPLES = [
    # An hour of coding with 50,000 tokens in and 15,000 out: 0.25 + 0.375; its session runtime of
    # 0.08 is the agent platform's and no part of a model's price.
    Example(CLAUDE, "anthropic", "claude-opus-5", "0.625", claude(50_000, 15_000)),
    Example(CLAUDE, "anthropic", "claude-opus-4-6", "0.625", claude(50_000, 15_000)),
    # The same with 40,000 of the tokens read from the cache: 0.05 + 0.02 + 0.375.
    Example(CLAUDE, "anthropic", "claude-opus-5", "0.445",
            claude(10_000, 15_000, cache_read_input_tokens=40_000)),
    # 10,000 support tickets of about 3,700 tokens at 1 USD a million.
    Example(CLAUDE, "anthropic", "claude-haiku-4-5", "37", claude(37_000_000, 0)),
    # The same note on an earlier page, at 3 USD a million.
    Example(CLAUDE, "anthropic", "claude-sonnet-4-5", "22.2", claude(3_700, 0), book="0.0111",
            why="the page's 22.20 is not 10,000 x 3,700 tokens x 3 USD, which is 111"),
    # The web search tool's published payload at the published prices: 10 USD per 1,000 searches,
    # 3 and 15 USD a million, 3.75 written to and 0.30 read from the cache.
    Example(CLAUDE, "anthropic", "claude-sonnet-4-5", "0.13058065", SEARCH_USAGE),
    # Batches cost half, the search does not.
    Example(CLAUDE, "anthropic", "claude-sonnet-4-5", "0.070290325", SEARCH_USAGE, tier="batch"),
    # An image of up to 1024 x 1024 is 1,290 tokens at 30 USD a million, "0.039 per image".
    Example(GOOGLE, "gemini", "gemini-2.5-flash-image", "0.0387",
            gemini(0, 1290, candidatesTokensDetails=1290)),
    # 120 USD a million image tokens: 1,120 up to 2K ("0.134"), 2,000 at 4K ("0.24").
    Example(GOOGLE, "gemini", "gemini-3-pro-image", "0.1344",
            gemini(0, 1120, candidatesTokensDetails=1120)),
    Example(GOOGLE, "gemini", "gemini-3-pro-image", "0.24",
            gemini(0, 2000, candidatesTokensDetails=2000)),
    # An image that goes in is 560 tokens, "0.0011".
    Example(GOOGLE, "gemini", "gemini-3-pro-image", "0.00112",
            gemini(560, 0, promptTokensDetails=560)),
    # The whole prompt is paid at the higher price above 200,000 tokens: 2.50 and 15 USD.
    Example(GOOGLE, "gemini", "gemini-2.5-pro", "0.7575", gemini(300_000, 500)),
    Example(GOOGLE, "gemini", "gemini-2.5-pro", "0.255", gemini(200_000, 500)),
    # An image with "cost_in_usd_ticks": 200000000, at 10^10 ticks a dollar.
    Example(XAI, "xai", "grok-imagine-image", "0.02", units={"image": 1}),
    # A minute of audio at 0.006 USD, a million characters at 15 USD.
    Example(OPENAI, "openai", "whisper-1", "0.006", {"type": "duration", "seconds": 60}),
    Example(OPENAI, "openai", "tts-1", "15", units={"characters": 1_000_000}),
    # 2.50, 1.25 cached and 10 USD a million; a batch is half of what is not cached.
    Example(OPENAI, "openai", "gpt-4o", "0.0125", {
        "prompt_tokens": 2000, "completion_tokens": 1000, "total_tokens": 3000,
        "prompt_tokens_details": {"cached_tokens": 2000}}),
    Example(OPENAI, "openai", "gpt-4o", "0.0075",
            {"prompt_tokens": 2000, "completion_tokens": 1000}, tier="batch"),
    # Text 4 and 16, audio 32 and 64 USD a million.
    Example(REALTIME, "openai", "gpt-realtime-1.5", "0.116", {
        "input_tokens": 2000, "output_tokens": 2000, "total_tokens": 4000,
        "input_token_details": {"text_tokens": 1000, "audio_tokens": 1000, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 1000, "audio_tokens": 1000}}),
]  # fmt: skip


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


def work_out(book: PriceBook, example: Example) -> tuple[str, PriceState]:
    """The cost as the ledger makes it: the usage as reported, by the tier that served."""
    buckets, open_keys = buckets_from_usage(example.usage or {"prompt_tokens": 0})
    assert open_keys == []
    units = {**units_from_usage(example.usage), **example.units}
    tiers = tiers_of(example.tier or tier_from_usage(example.usage))
    service = Service(tiers, buckets.total_input, example.region)
    quote = book.quote("main", example.provider, "", example.model, service)
    cost = cost_of(Used(buckets, units), quote, book.quote_tools(example.provider, ""))
    assert cost.picousd is not None, f"{example.model}: {quote.reason}"
    return usd_text(cost.picousd), cost.state


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[f"{each.model}-{each.published}" for each in EXAMPLES]
)
def test_the_published_figure_is_the_books(book: PriceBook, example: Example) -> None:
    found, _ = work_out(book, example)

    assert found == (example.book or example.published), example.origin
    assert bool(example.why) is (found != example.published)


def test_what_the_book_lists_otherwise_than_a_page_of_another_date_is_never_agreed(
    book: PriceBook,
) -> None:
    """DeepSeek's page of early 2025: a million in, missed and hit, and out is 0.27, 0.07, 1.10."""
    usage = {
        "prompt_tokens": 2_000_000, "completion_tokens": 1_000_000, "total_tokens": 3_000_000,
        "prompt_cache_hit_tokens": 1_000_000, "prompt_cache_miss_tokens": 1_000_000,
    }  # fmt: skip
    found, state = work_out(book, Example(DEEPSEEK, "deepseek", "deepseek-chat", "1.44", usage))

    assert found != "1.44"
    assert state is PriceState.disputed
