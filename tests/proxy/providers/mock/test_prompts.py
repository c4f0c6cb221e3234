"""The simulated prompt cache."""

import pytest

from config.clock import Clock
from proxy.providers.mock import prompts
from proxy.providers.mock.prompts import Prompt, PromptCache, measure_prompt

OWNER = b"key and model"


class SteppedClock(Clock):
    """A clock whose durations a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


def make_prompt(text: str) -> Prompt:
    return measure_prompt({"messages": [{"role": "user", "content": text}]})


def test_short_prompts_are_not_cached() -> None:
    cache = PromptCache(Clock())
    prompt = make_prompt("x" * 4000)
    assert [cache.match(OWNER, prompt) for _ in range(2)] == [0, 0]


def test_common_prefix_counts_in_whole_steps() -> None:
    cache = PromptCache(Clock())
    first = make_prompt("x" * 8000 + "a" * 4000)
    assert cache.match(OWNER, first) == 0
    cached = cache.match(OWNER, make_prompt("x" * 8000 + "b" * 4000))
    assert cached == 2000 // 128 * 128
    assert cache.match(b"another key", first) == 0


def test_prefixes_are_forgotten_after_five_minutes_unseen() -> None:
    clock = SteppedClock()
    cache = PromptCache(clock)
    prompt = make_prompt("x" * 8000)
    cache.match(OWNER, prompt)
    clock.at = 299.0
    assert cache.match(OWNER, prompt) > 0
    clock.at = 599.5
    assert cache.match(OWNER, prompt) == 0


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "MAX_PREFIXES", 10)
    cache = PromptCache(Clock())
    old = make_prompt("x" * 8000)
    cache.match(OWNER, old)
    cache.match(OWNER, make_prompt("y" * 80_000))
    assert cache.match(OWNER, old) == 0


def test_images_are_part_of_the_prefix() -> None:
    def with_image(url: str) -> Prompt:
        parts = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": "x" * 8000},
        ]
        return measure_prompt({"messages": [{"role": "user", "content": parts}]})

    cache = PromptCache(Clock())
    cache.match(OWNER, with_image("one"))
    assert cache.match(OWNER, with_image("two")) == 0
    assert cache.match(OWNER, with_image("one")) > 0
