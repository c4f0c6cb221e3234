"""Measures a chat prompt and simulates the provider's prompt cache; called by chat.py.

The cache remembers, per API key and model for five minutes, every prefix of at least 1,024 tokens
in steps of 128; a later prompt that begins with one reads that many tokens at the cached price.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from config.clock import Clock
from proxy.providers.mock.text import CHARACTERS_PER_TOKEN, count_tokens, digest_of
from proxy.providers.mock.validation import content_parts

LEAST_CACHED_TOKENS = 1024
STEP_TOKENS = 128
LIFETIME_S = 300.0
MAX_PREFIXES = 200_000

TOKENS_PER_MESSAGE = 4
TOKENS_PER_IMAGE = 85
AUDIO_CHARACTERS_PER_TOKEN = 256  # of base64


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as one text, tools first, and its tokens; audio is counted apart from the rest."""

    text: str
    tokens: int
    audio_tokens: int


def measure_prompt(document: dict[str, Any]) -> Prompt:
    pieces = [orjson.dumps(document["tools"]).decode()] if document.get("tools") else []
    extra_tokens = 0
    audio_tokens = 0
    for message in document["messages"]:
        pieces.append(f"\n{message['role']}\n")
        extra_tokens += TOKENS_PER_MESSAGE
        for part in content_parts(message):
            pieces.append(_part_text(part))
            extra_tokens += TOKENS_PER_IMAGE if part["type"] == "image_url" else 0
            audio_tokens += _audio_tokens(part)
        if message.get("tool_calls"):
            pieces.append(orjson.dumps(message["tool_calls"]).decode())
    text = "".join(pieces)
    return Prompt(text, count_tokens(text) + extra_tokens + audio_tokens, audio_tokens)


def _part_text(part: dict[str, Any]) -> str:
    match part["type"]:
        case "text" | "refusal" as name:
            return str(part.get(name, ""))
        case "image_url":
            image = part.get("image_url")
            # The picture's own text is not tokens, but another picture is another prompt.
            return digest_of(orjson.dumps(image)).hex()[:8]
        case _:
            return ""


def _audio_tokens(part: dict[str, Any]) -> int:
    audio = part.get("input_audio")
    if part["type"] != "input_audio" or not isinstance(audio, dict):
        return 0
    return -(-len(str(audio.get("data", ""))) // AUDIO_CHARACTERS_PER_TOKEN)


class PromptCache:
    """Prefixes seen lately; bounded, the least recently seen leave first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expires_at: OrderedDict[bytes, float] = OrderedDict()  # monotonic seconds

    def match(self, owner: bytes, prompt: Prompt) -> int:
        """Return how many of the prompt's tokens were cached, and remember its prefixes.

        `owner` keeps API keys and models apart.
        """
        if prompt.tokens < LEAST_CACHED_TOKENS:
            return 0
        now = self._clock.monotonic()
        cached_tokens = 0
        for tokens, prefix in _prefixes(owner, prompt.text):
            if self._expires_at.get(prefix, -1.0) > now:
                cached_tokens = tokens
            self._expires_at[prefix] = now + LIFETIME_S
            self._expires_at.move_to_end(prefix)
        while len(self._expires_at) > MAX_PREFIXES:
            self._expires_at.popitem(last=False)
        return cached_tokens


def _prefixes(owner: bytes, text: str) -> Iterator[tuple[int, bytes]]:
    """Yield (tokens, digest) of every prefix that may be cached, shortest first."""
    state = digest_of(owner)
    step = STEP_TOKENS * CHARACTERS_PER_TOKEN
    for end in range(step, len(text) + 1, step):
        state = digest_of(state, text[end - step : end].encode("utf-8", "surrogatepass"))
        tokens = end // CHARACTERS_PER_TOKEN
        if tokens >= LEAST_CACHED_TOKENS:
            yield tokens, state
