"""Claims as tests of counters need them."""

import itertools

from proxy.governing.claims import Claim, Correction, Hold, Level, Meter
from proxy.governing.periods import Span

_ids = itertools.count(1)
# A period that is not over for a while, with any clock.
SPAN = Span("month-2026-11-01", 1_793_000_000.0, 4_000_000_000.0)


def money(amount: int, limit: int | None, level: Level = "key", name: str = "k") -> Claim:
    counter = f"acme/{level}:{name}"
    meter = Meter(level, "money", counter, limit, "month")
    return Claim(meter, f"{counter}:{SPAN.name}", amount, SPAN)


def requests(limit: int, amount: int = 1, level: Level = "key", name: str = "k") -> Claim:
    counter = f"acme/{level}:{name}:requests"
    return Claim(Meter(level, "requests", counter, limit), counter, amount)


def tokens(limit: int, amount: int, name: str = "k") -> Claim:
    counter = f"acme/key:{name}:tokens"
    return Claim(Meter("key", "tokens", counter, limit), counter, amount)


def place(limit: int, name: str = "k") -> Claim:
    counter = f"acme/key:{name}:open"
    return Claim(Meter("key", "open", counter, limit), counter, 1)


def hold(*claims: Claim, tenant: str = "acme") -> Hold:
    return Hold(f"req_{next(_ids)}", tenant, claims)


def back(claim: Claim, amount: int) -> list[Correction]:
    """What puts a claim right that used `amount` less."""
    return [Correction(claim, -amount)]
