"""What one policy's run came to: everything the table, the page and the tests read.

Built by the runner. Amounts are pico-USD, latencies real milliseconds.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.demo.accounts import Accounts
from bench.demo.replay import Seen
from bench.demo.workload import TRACE_START_S

CACHE_OUTCOMES = ("hit", "coalesced", "miss", "bypass")
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy: what the client saw, what the admin API says, and the mock's bill beside it."""

    policy: str
    seen: list[Seen]
    usage: Mapping[str, Mapping[str, Any]]  # dimension -> the admin API's answer
    bill: Sequence[Mapping[str, Any]]
    accounts: Accounts
    replay_s: float
    whole_s: float

    @property
    def totals(self) -> Mapping[str, Any]:
        totals: Mapping[str, Any] = self.usage["served_model"]["totals"]
        return totals

    @property
    def errors(self) -> list[Seen]:
        return [each for each in self.seen if not each.is_ok]

    @property
    def substituted(self) -> list[Seen]:
        """Answers by another model than the one asked for: no policy of the demo makes any."""
        return [each for each in self.seen if each.is_ok and each.served_model != each.call.model]

    def outcomes(self) -> Counter[str]:
        """Requests by cache outcome, as the client was told."""
        return Counter(each.cache for each in self.seen if each.is_ok)

    def minutes(self) -> list[tuple[int, int]]:
        """(requests, reused answers) for each minute of the trace."""
        last = int(max((each.call.at_s for each in self.seen), default=0) // MINUTE_S)
        bins = [(0, 0)] * (last + 1)
        for each in self.seen:
            minute = int(each.call.at_s // MINUTE_S)
            requests, reused = bins[minute]
            bins[minute] = (requests + 1, reused + each.is_reused)
        return bins

    def bill_over_time(self) -> list[tuple[float, int]]:
        """(minute of the trace, pico-USD billed until then), by the mock's own times."""
        points: list[tuple[float, int]] = [(0.0, 0)]
        for line in sorted(self.bill, key=lambda line: line["at_us"]):
            minute = max(0.0, (line["at_us"] / 1e6 - TRACE_START_S) / MINUTE_S)
            points.append((minute, points[-1][1] + (line["cost_picousd"] or 0)))
        return points

    def problems(self) -> list[str]:
        """Why the demo fails; empty when all is as it must be."""
        found = [f"{self.policy}: {difference}" for difference in self.accounts.differences]
        found += [
            f"{self.policy}: request {each.call.number} failed: {each.status} {each.error}"
            for each in self.errors[:5]
        ]
        found += [
            f"{self.policy}: request {each.call.number} asked for {each.call.model} and was "
            f"answered by {each.served_model or 'nobody knows whom'}"
            for each in self.substituted[:5]
        ]
        recorded = self.totals["requests"]
        if recorded != len(self.seen):
            found.append(f"{self.policy}: {len(self.seen)} requests sent, {recorded} recorded")
        return found


@dataclass(frozen=True, slots=True)
class Added:
    """What the gateway added to the same requests without it, milliseconds, call by call."""

    calls: int
    p50_ms: float
    p99_ms: float
    first_byte_p50_ms: float
    first_byte_p99_ms: float


def added_latency(outcome: Outcome, direct: Sequence[Seen]) -> Added:
    """Calls that reached the mock in both runs; those answered from the cache are left out."""
    without = {each.call.number: each for each in direct if each.is_ok}
    pairs = [
        (each, without[each.call.number])
        for each in outcome.seen
        if each.is_ok and not each.is_reused and each.call.number in without
    ]
    total = [ours.total_ms - bare.total_ms for ours, bare in pairs]
    first = [ours.first_byte_ms - bare.first_byte_ms for ours, bare in pairs]
    return Added(
        len(pairs), percentile(total, 50), percentile(total, 99),
        percentile(first, 50), percentile(first, 99),
    )  # fmt: skip


def percentile(values: Sequence[float], percent: float) -> float:
    """The value so many percent lie at or below; not a number where there is none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
