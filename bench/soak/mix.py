"""What the soak sends: kinds of calls by their share, and how each of them has to end.

Pure: call number N is the same in every run. Used by load.py; the report lists the kinds.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

STEADY, FLAKY = "gpt-4o-mini", "flaky-mini"
HOT_PROMPTS = 200
SESSIONS = 500
SENTENCE = "Summarise the following ticket for an engineer and list the next steps. "


class Ending(StrEnum):
    """What a call has to come to."""

    whole = "answered whole"
    refused = "the upstream's own refusal"
    any = "an answer or an error, in time"
    left = "left by the client"


class Leaving(StrEnum):
    """When the client hangs up."""

    never = "never"
    early = "before the answer"
    midway = "after the first bytes of a stream"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call; `share` is of 1,000, `asks` are the mock's headers."""

    name: str
    share: int
    prompt_bytes: int = 1000
    ending: Ending = Ending.whole
    model: str = STEADY
    is_stream: bool = False
    is_hot: bool = False
    is_timed: bool = False  # its latency is the gateway's own: the mock does not wait or fail
    leaves: Leaving = Leaving.never
    asks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to send."""

    kind: Kind
    body: bytes
    headers: dict[str, str]


PACE = {"x-mock-output-tokens": "32", "x-mock-token-ms": "2"}
SHORT = {"x-mock-output-tokens": "16"}
ONCE = {"x-mock-fail-first": "1"}

KINDS = (
    Kind("1 KB", 470, is_timed=True, asks=SHORT),
    Kind("8 KB", 120, 8_000, is_timed=True, asks=SHORT),
    Kind("32 KB", 40, 32_000, is_timed=True, asks=SHORT),
    Kind("128 KB", 10, 128_000, is_timed=True, asks=SHORT),
    Kind("asked before", 100, is_hot=True, is_timed=True, asks=SHORT),
    Kind("stream", 150, 2_000, is_stream=True, asks=PACE),
    Kind("left midway", 20, is_stream=True, ending=Ending.left, leaves=Leaving.midway,
         asks={"x-mock-output-tokens": "200", "x-mock-token-ms": "5"}),
    Kind("left early", 10, ending=Ending.left, leaves=Leaving.early,
         asks={"x-mock-latency-ms": "500"}),
    Kind("500, then well", 12, asks={**ONCE, "x-mock-status": "500"}),
    Kind("503, then well", 5, is_stream=True, asks={**ONCE, "x-mock-status": "503"}),
    Kind("429, then well", 5, asks={**ONCE, "x-mock-retry-after": "1"}),
    Kind("400", 8, ending=Ending.refused, asks={"x-mock-status": "400"}),
    Kind("flaky: well", 30, model=FLAKY, ending=Ending.any, asks=SHORT),
    Kind("flaky: reset", 4, model=FLAKY, ending=Ending.any, asks={"x-mock-reset": "1"}),
    Kind("flaky: 503", 4, model=FLAKY, ending=Ending.any, asks={"x-mock-status": "503"}),
    Kind("flaky: cut stream", 6, model=FLAKY, is_stream=True, ending=Ending.any,
         asks={"x-mock-cut-after-tokens": "5"}),
    Kind("flaky: cut answer", 2, model=FLAKY, ending=Ending.any,
         asks={"x-mock-cut-after-tokens": "5"}),
    Kind("flaky: HTML", 2, model=FLAKY, ending=Ending.any, asks={"x-mock-garbage": "html"}),
    Kind("flaky: silence", 2, model=FLAKY, is_stream=True, ending=Ending.any,
         asks={"x-mock-silence": "start"}),
)  # fmt: skip


def make_call(number: int) -> Call:
    """Call number `number`; equal numbers give equal calls."""
    dice = random.Random(number)  # noqa: S311  a reproducible mix
    kind = dice.choices(KINDS, [each.share for each in KINDS])[0]
    prompt = dice.randrange(HOT_PROMPTS) if kind.is_hot else number
    headers = {
        "Content-Type": "application/json",
        "X-Session-Id": f"soak-{prompt % SESSIONS}",
        **kind.asks,
    }
    if "x-mock-fail-first" in kind.asks:
        headers["x-mock-key"] = f"soak-{number}"
    return Call(kind, _body(kind, prompt), headers)


def _body(kind: Kind, prompt: int) -> bytes:
    mark = f"[{'hot' if kind.is_hot else 'own'} {prompt}] "
    repeats = kind.prompt_bytes // len(SENTENCE) + 1
    text = (mark + SENTENCE * repeats)[: kind.prompt_bytes]
    document: dict[str, object] = {
        "model": kind.model,
        "messages": [{"role": "user", "content": text}],
    }
    if kind.is_hot:
        document["temperature"] = 0
    if kind.is_stream:
        document |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(document).encode()
