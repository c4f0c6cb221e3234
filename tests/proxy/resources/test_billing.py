"""proxy/resources/billing.py: what is not told in tokens is counted, or stays unknown."""

import pytest

from proxy.resources.billing import units_of
from proxy.resources.paths import read_path

SPEECH = read_path("audio/speech")


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "playai-tts"])
def test_speech_is_sold_by_the_character(model: str) -> None:
    asked = {"model": model, "input": "Good morning."}
    assert units_of(SPEECH, asked, {}) == {"characters": 13}


def test_speech_sold_by_tokens_that_nobody_told_stays_unknown() -> None:
    asked = {"model": "gpt-4o-mini-tts", "input": "Good morning."}
    assert units_of(SPEECH, asked, {}) == {}


def test_pictures_are_counted_by_size_and_quality() -> None:
    asked = {"model": "dall-e-3", "size": "1024x1024", "quality": "hd"}
    answer = {"data": [{"url": "a"}, {"url": "b"}]}
    assert units_of(read_path("images/generations"), asked, answer) == {"image:1024x1024:hd": 2}
    assert units_of(read_path("images/generations"), asked, {}) == {}
