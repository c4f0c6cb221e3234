"""The demo's requests, ready to send: the committed cut, and what the demo makes up around it.

Called by the runner. Everything is a function of the data: both policies get the same bytes.
"""

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
REQUESTS_PATH = DATA / "requests.csv.gz"
PROMPTS_PATH = DATA / "prompts.json.gz"
CHAT, LOOKUP = "chat", "lookup"
# The traces' first moment: 2023-11-16 18:15:46 UTC, unix seconds.
TRACE_START_S = 1_700_158_546
CHARACTERS_PER_TOKEN = 4  # as the mock counts
# Mooncake's blocks hold 512 tokens of prompts ten times as long as Azure's.
BLOCK_TOKENS = 64
BLOCK_CHARACTERS = BLOCK_TOKENS * CHARACTERS_PER_TOKEN
# Of one call: two messages at four tokens each, and the lines that name their roles.
ENVELOPE_CHARACTERS = 2 * 4 * CHARACTERS_PER_TOKEN + len("\nsystem\n\nuser\n")
STREAM_EVERY = 3
DESKS = 300
# Parts of ten, by conversation and by question; synthetic.
CHAT_MODELS = ("gpt-4o-mini",) * 6 + ("gpt-4o",) * 3 + ("gpt-5-mini",)
LOOKUP_MODELS = ("gpt-4.1-mini",) * 6 + ("gpt-4.1",) * 4
# A model's pace in the trace's time: synthetic, and shrunk by the clock's scale.
FIRST_MS, CONTEXT_TOKEN_MS, GENERATED_TOKEN_MS = 400.0, 0.1, 15.0
SYSTEM = {
    CHAT: "You are the assistant of a bank and of its customers' children. Be brief and exact.",
    LOOKUP: "Answer the last question with one letter. The others show how.",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `at_s` in the trace's time since its start, `pace_ms` the mock's, in its too."""

    number: int
    at_s: float
    app: str
    model: str
    session: str
    body: bytes
    is_streaming: bool
    is_deterministic: bool
    generated_tokens: int
    pace_ms: float


class Words:
    """The texts prompts are made of; equal numbers give equal words."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._pool = "\n".join(document["chat"])
        self._subjects: list[list[str]] = list(document["lookup"].values())
        self._examples = ["\n\n".join(questions) for questions in self._subjects]

    def block(self, number: int) -> str:
        """Exactly one block of prompt text, another for every number."""
        return self._excerpt(f"\n[{number}] ", number, BLOCK_CHARACTERS)

    def chat(self, prompt: int, blocks: list[int], characters: int) -> str:
        """The blocks as far as they fit, then words of this prompt alone."""
        tail = f"\n[Q{prompt}] What should be done next?"
        shared = "".join(map(self.block, blocks))[: max(0, characters - len(tail))]
        missing = characters - len(shared) - len(tail)
        own = self._excerpt(f"\n[P{prompt}] ", prompt + 7, missing) if missing > 0 else ""
        return shared + own + tail

    def lookup(self, question: int, characters: int) -> str:
        """A question of one subject behind as many examples as fit, always in the same order."""
        number, subject = divmod(question, len(self._subjects))
        asked = f"\n\n[{question}] {self._subjects[subject][number % len(self._subjects[subject])]}"
        return self._examples[subject][: max(0, characters - len(asked))] + asked

    def _excerpt(self, mark: str, number: int, characters: int) -> str:
        start = number * 7919 % len(self._pool)
        text = self._pool[start : start + characters]
        while len(text) < characters:
            text += self._pool[: characters - len(text)]
        return (mark + text)[:characters]


def load_calls(count: int | None = None) -> list[Call]:
    """The first `count` requests of the cut, or all, in the order of their arrival."""
    with gzip.open(PROMPTS_PATH, "rt", encoding="utf-8") as file:
        words = Words(json.load(file))
    with gzip.open(REQUESTS_PATH, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:count]
    return [_call(number, row, words) for number, row in enumerate(rows)]


def _call(number: int, row: dict[str, str], words: Words) -> Call:
    prompt, context, generated = (int(row[name]) for name in ("prompt", "context", "generated"))
    app = row["app"]
    characters = context * CHARACTERS_PER_TOKEN - ENVELOPE_CHARACTERS - len(SYSTEM[app])
    blocks = [int(block) for block in row["blocks"].split()]
    # Its first own block names a conversation: all of them share the one before.
    conversation = blocks[1] if len(blocks) > 1 else prompt
    if app == CHAT:
        model, text = CHAT_MODELS[conversation % 10], words.chat(prompt, blocks, characters)
        session, is_deterministic = f"chat-{conversation}", conversation % 3 == 0
    else:
        model, text = LOOKUP_MODELS[prompt % 10], words.lookup(prompt, characters)
        session, is_deterministic = f"desk-{number % DESKS}", True
    is_streaming = number % STREAM_EVERY == 0
    return Call(
        number=number,
        at_s=int(row["at_ms"]) / 1000,
        app=app,
        model=model,
        session=session,
        body=_body(app, model, text, is_streaming, is_deterministic),
        is_streaming=is_streaming,
        is_deterministic=is_deterministic,
        generated_tokens=generated,
        pace_ms=FIRST_MS + CONTEXT_TOKEN_MS * context + GENERATED_TOKEN_MS * generated,
    )


def _body(app: str, model: str, text: str, is_streaming: bool, is_deterministic: bool) -> bytes:
    messages = [{"role": "system", "content": SYSTEM[app]}, {"role": "user", "content": text}]
    document: dict[str, Any] = {"model": model, "messages": messages}
    if is_deterministic:
        # Models that reason take no temperature; a seed asks for the same.
        document |= {"seed": 1} if model.startswith("gpt-5") else {"temperature": 0}
    if is_streaming:
        document |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(document).encode()
