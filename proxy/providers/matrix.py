"""THE table of dialects: what becomes of an inbound dialect at each family of upstreams.

Read by calls.py for every attempt, and by the tool that writes docs/dialects.md. A dialect goes to
its own family as bytes; to another one it is translated, by way of chat completions where no
direct way is written; where neither works the caller gets a 400 that says what would.
"""

from typing import Literal, NamedTuple

from proxy.providers.families import Family
from proxy.providers.translation import Translator

Action = Literal["relay", "translate", "refuse"]
HUB = "chat"


class Way(NamedTuple):
    """What becomes of one dialect at one family; `path` is the endpoint asked for there."""

    action: Action
    path: str = ""
    translator: Translator | None = None
    hint: str = ""


def _relay(endpoint: str) -> Way:
    return Way("relay", endpoint)


def _refuse(hint: str) -> Way:
    return Way("refuse", hint=hint)


WAYS: dict[tuple[str, Family], Way] = {
    ("chat", "openai"): _relay("chat"),
    ("chat", "azure"): _relay("chat"),
    ("embeddings", "openai"): _relay("embeddings"),
    ("embeddings", "azure"): _relay("embeddings"),
}


def way_of(endpoint: str, family: Family, kind: str) -> Way:
    """Return what becomes of a dialect at an upstream of this family and kind."""
    return WAYS[endpoint, family]
