"""What a request claims of its limits before it is dispatched, and what came of the claim (pure).

Made by rules.py, counted by local_counters.py and shared_counters.py, settled by the governor.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ledger.events import AttemptEnd
from proxy.governing.periods import Span

Kind = Literal["money", "requests", "tokens", "open"]
Level = Literal["key", "project", "tenant"]


class Meter(NamedTuple):
    """One thing that is counted for one key, project or tenant."""

    level: Level
    kind: Kind
    name: str  # of its counter, without the period
    limit: int | None  # pico-USD, units a minute, or requests at once; None: only marked
    period: str = ""  # of money
    soft_limit: int | None = None  # pico-USD


class Claim(NamedTuple):
    """So much of one counter; `span` is the period of money."""

    meter: Meter
    counter: str
    amount: int
    span: Span | None = None


class Verdict(NamedTuple):
    """What the counters said. `refused` is the place of the claim that did not fit, or -1.

    A state is, by kind: pico-USD used, microseconds that a rate is ahead of now, requests open;
    with this claim where it was granted, as it would be where it is what was refused.
    """

    refused: int
    states: tuple[int, ...]


@dataclass(slots=True)
class Hold:
    """What one request holds until it is settled. `ends` are its attempts, as they end."""

    id: str
    tenant: str
    claims: tuple[Claim, ...]
    ends: list[AttemptEnd] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    is_shared: bool = False  # counted by the server, not by this process's share


class Correction(NamedTuple):
    """What a counter has to be moved by, once it is known what was used."""

    claim: Claim
    amount: int
