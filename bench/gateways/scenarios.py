"""What is measured: one row for each kind of work, with its request body and the load on it.

Read by rounds.py, which drives the load generator, and by floors.py, which names the rows.
"""

import json
from dataclasses import dataclass
from typing import Any

MOCK_EVENTS = 50  # of each stream of the mock upstream, 5 ms apart
SLOW_UPSTREAM_MS = 50
SLOW_CONNECTIONS = 256
IDEAL_SLOW_RPS = SLOW_CONNECTIONS * 1000 / SLOW_UPSTREAM_MS
SENTENCE = "Summarise the following ticket for an engineer and list the next steps. "

PASS_THROUGH = ("apex", "bare", "nginx", "envoy", "tensorzero", "portkey", "litellm")
WITH_DIRECT = ("direct", *PASS_THROUGH)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of work. `load` is for bench/c/lg.c, `lengthened` multiplies its seconds."""

    name: str
    title: str
    load: str
    prompt_bytes: int
    contestants: tuple[str, ...] = PASS_THROUGH
    is_stream: bool = False
    is_repeated: bool = False  # the same body each time: an exact hit
    delay_ms: int = 0  # of the upstream's first byte
    lengthened: float = 1.0


SCENARIOS = (
    Scenario("miss-1k", "Miss, 1 KB prompt, 64 connections", "-c 64", 800),
    Scenario("miss-32k", "Miss, 32 KB prompt, 64 connections", "-c 64", 32_500),
    Scenario(
        "hit-1k", "Exact hit, 1 KB prompt, 64 connections", "-c 64", 800,
        ("apex", "constant"), is_repeated=True,
    ),
    Scenario(
        "hit-32k", "Exact hit, 32 KB prompt, 64 connections", "-c 64", 32_500,
        ("apex", "constant"), is_repeated=True,
    ),
    Scenario(
        "slow", f"{SLOW_UPSTREAM_MS} ms upstream, {SLOW_CONNECTIONS} connections",
        f"-c {SLOW_CONNECTIONS}", 800, delay_ms=SLOW_UPSTREAM_MS, lengthened=2,
    ),
    Scenario(
        "calm-1k", "Low load: 1 KB prompt, 40 requests a second", "-c 8 -r 40", 800,
        WITH_DIRECT, lengthened=2,
    ),
    Scenario(
        "calm-32k", "Low load: 32 KB prompt, 40 requests a second", "-c 8 -r 40", 32_500,
        WITH_DIRECT, lengthened=2,
    ),
    Scenario(
        "first-token", "Time to the first token, 8 streams a second", "-c 8 -r 8 -s", 800,
        WITH_DIRECT, is_stream=True, lengthened=2,
    ),
    Scenario(
        "streams", "20 streams at a time, an event every 5 ms each", "-c 20 -s", 800,
        WITH_DIRECT, is_stream=True, lengthened=1.5,
    ),
    Scenario(
        "two-processes", "Two processes on both cores: miss, 1 KB prompt", "-c 64", 800, ("apex2",)
    ),
)  # fmt: skip

SUSTAINED_RPS = 1000  # as much as the shipper can take beside the load on one core
SUSTAINED = Scenario("sustained", "Sustained load", f"-c 64 -r {SUSTAINED_RPS}", 800, ("apex",))


def find_scenario(name: str) -> Scenario:
    return next(each for each in SCENARIOS if each.name == name)


def body_of(scenario: Scenario, model: str, variant: int = 0) -> bytes:
    """The request; of an unrepeated one lg.c makes every copy unique by a running number.

    Temperature 0 makes a request deterministic, so that the gateway works out its cache key.
    """
    opening = f"Ticket {variant}. " if scenario.is_repeated else "@@N@@. "
    if scenario.delay_ms:
        opening += f"delay_us={scenario.delay_ms * 1000} "  # the mock reads it
    text = SENTENCE * (scenario.prompt_bytes // len(SENTENCE) + 1)
    document: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": opening + text[: scenario.prompt_bytes]},
        ],
        "temperature": 0,
        "max_tokens": 256,
    }
    if scenario.is_stream:
        document["stream"] = True
    return json.dumps(document).encode()
