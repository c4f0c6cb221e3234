"""The texts of requests and answers whose tokens nobody counted, in each dialect (pure).

Called by ledger.estimates. Everything here came from outside: what has another shape is passed
over, never an error.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

# Endpoint -> the fields of a request that the model reads.
PROMPT_FIELDS: dict[str, tuple[str, ...]] = {
    "chat": ("messages",),
    "completions": ("prompt", "suffix"),
    "messages": ("system", "messages"),
    "responses": ("instructions", "input"),
    "gemini": ("systemInstruction", "system_instruction", "contents"),
    "embeddings": ("input",),
    "gemini_embed": ("content",),
    "gemini_batch_embed": ("requests",),
}
# Declarations: the model reads them in a form of its own, close to their JSON.
SCHEMA_FIELDS = ("tools", "functions", "response_format", "text")
ANSWER_FIELDS = ("choices", "content", "output", "candidates")
# Chat templates wrap each message in about three tokens, and open the answer with three:
# https://github.com/openai/openai-cookbook, How_to_count_tokens_with_tiktoken.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_OPENING = 3
_LISTS_OF_MESSAGES = ("messages", "contents", "input")
_STRUCTURE = frozenset({
    "type", "id", "object", "role", "status", "model", "index", "tool_call_id", "tool_use_id",
    "call_id", "cache_control", "finish_reason", "finishReason", "stop_reason", "logprobs",
    "logprobsResult", "annotations", "obfuscation", "safetyRatings", "signature", "mimeType",
    "mime_type", "media_type", "detail", "encrypted_content", "thoughtSignature", "service_tier",
})  # fmt: skip
# Images, sound and files: their tokens are not those of any text.
_NO_TEXT = frozenset({
    "image_url", "input_audio", "audio", "file", "file_id", "file_data", "file_url", "source",
    "inlineData", "inline_data", "fileData", "data",
})  # fmt: skip
MOST_DEPTH = 64


@dataclass(slots=True)
class Texts:
    """Pieces of text, tokens that come on top, and whether something could not be read as text."""

    pieces: list[str] = field(default_factory=list)
    extra_tokens: int = 0
    is_partial: bool = False

    def take(self, value: Any, depth: int = 0) -> None:
        """Every text below a value, in order; whole numbers in lists are token ids."""
        if isinstance(value, str):
            if value:
                self.pieces.append(value)
        elif depth >= MOST_DEPTH:
            self.is_partial = True
        elif isinstance(value, list):
            self.extra_tokens += sum(type(item) is int for item in value)
            for item in value:
                self.take(item, depth + 1)
        elif isinstance(value, dict):
            self._take_object(value, depth)

    def _take_object(self, value: Mapping[str, Any], depth: int) -> None:
        for name, item in value.items():
            if name in _NO_TEXT and item is not None:
                self.is_partial = True
            elif name not in _STRUCTURE:
                self.take(item, depth + 1)


def prompt_texts(endpoint: str, document: Mapping[str, Any]) -> Texts:
    """What the model was given to read."""
    texts = Texts()
    for name in PROMPT_FIELDS.get(endpoint, ()):
        value = document.get(name)
        texts.take(value)
        if isinstance(value, list) and name in _LISTS_OF_MESSAGES:
            messages = sum(isinstance(item, dict) for item in value)
            texts.extra_tokens += messages * TOKENS_PER_MESSAGE
            texts.extra_tokens += TOKENS_PER_OPENING if messages else 0
    for name in SCHEMA_FIELDS:
        if isinstance(document.get(name), list | dict):
            texts.pieces.append(_json_of(document[name]))
    return texts


def answer_texts(document: Mapping[str, Any]) -> Texts:
    """What a whole answer says, in any dialect."""
    texts = Texts()
    for name in ANSWER_FIELDS:
        texts.take(document.get(name))
    return texts


@dataclass(slots=True)
class StreamTexts:
    """Of a stream's beginning: its texts by the choice they belong to, and where they lie.

    [`first_at`, `read_bytes`) holds the events from the first that has text to the last whole one.
    """

    by_choice: dict[Any, Texts]
    first_at: int
    read_bytes: int

    @property
    def has_text(self) -> bool:
        return any(texts.pieces for texts in self.by_choice.values())


def stream_texts(sample: bytes) -> StreamTexts:
    """Read whole events; a last one that is cut is left out."""
    sample = sample.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found = StreamTexts(defaultdict(Texts), 0, 0)
    at, has_begun = 0, False
    while (end := sample.find(b"\n\n", at)) >= 0:
        _read_event(sample[at:end], found.by_choice)
        if not has_begun and found.has_text:
            found.first_at, has_begun = at, True
        at = found.read_bytes = end + 2
    return found


def _read_event(event: bytes, by_choice: dict[Any, Texts]) -> None:
    lines = [line[5:] for line in event.split(b"\n") if line.startswith(b"data:")]
    try:
        document = orjson.loads(b"\n".join(lines))
    except orjson.JSONDecodeError:
        return
    if not isinstance(document, dict):
        return
    for choice, value in _said(document):
        by_choice[choice].take(value)


def _said(document: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """(choice, what it says) of one event; events that repeat the whole say nothing new."""
    kind = document.get("type")
    if isinstance(kind, str):
        if kind.endswith(("_delta", ".delta")) or kind == "content_block_start":
            place = document.get("output_index", document.get("index"))
            yield (place if isinstance(place, int) else 0), _news_of(document)
        return
    for name in ("choices", "candidates"):
        choices = document.get(name)
        for place, choice in enumerate(choices if isinstance(choices, list) else ()):
            index = choice.get("index") if isinstance(choice, dict) else None
            yield (index if isinstance(index, int) else place), choice


def _news_of(document: Mapping[str, Any]) -> Any:
    """Anthropic's message_delta tells only endings; sound in base64 is no text."""
    kind = document["type"]
    if kind == "message_delta":
        return None
    if kind.endswith("audio.delta"):
        return {"audio": True}
    block = document.get("content_block")
    return block if block is not None else document.get("delta")


def _json_of(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return ""
