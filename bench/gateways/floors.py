"""The floors the data path has to keep, and its moonshots, as data. Read by tables.py."""

from dataclasses import dataclass

from bench.gateways.figures import Spread
from bench.gateways.measures import Measure, added_ratio, of_entry, ratio, scaled, two_processes
from bench.gateways.scenarios import IDEAL_SLOW_RPS, SLOW_CONNECTIONS, SLOW_UPSTREAM_MS


@dataclass(frozen=True, slots=True)
class Floor:
    """One line of the gate; None where only a moonshot is set, or only a floor."""

    work: str
    measure: Measure
    floor: float | None
    moonshot: float | None
    unit: str = "x"
    is_lower_better: bool = False

    def verdict(self, measured: Spread | None) -> str:
        """By the median of the rounds."""
        if measured is None:
            return "not measured"
        if self._is_kept(measured.median, self.moonshot):
            return "moonshot"
        if self.floor is None:
            return "below the moonshot"
        return "reached" if self._is_kept(measured.median, self.floor) else "NOT REACHED"

    def _is_kept(self, value: float, bound: float | None) -> bool:
        if bound is None:
            return False
        return value <= bound if self.is_lower_better else value >= bound


def lower(
    work: str, measure: Measure, floor: float | None, moonshot: float | None, unit: str = "x"
) -> Floor:
    """A floor that is kept by staying below it."""
    return Floor(work, measure, floor, moonshot, unit, is_lower_better=True)


SLOW = f"{SLOW_UPSTREAM_MS} ms upstream, {SLOW_CONNECTIONS} connections"
IDEAL_SHARE = scaled("slow", "rps", 100 / IDEAL_SLOW_RPS)
OVER_IDEAL_MS = scaled("slow", "p50_us", 1e-3, -SLOW_UPSTREAM_MS)
CPU, CHUNKS = "cpu_us_per_request", "cpu_ms_per_1000_events"
MISS, LARGE, HIT, BIG_HIT = "miss-1k", "miss-32k", "hit-1k", "hit-32k"
CALM, BIG_CALM = (added_ratio(name, "p50_us") for name in ("calm-1k", "calm-32k"))
FIRST_TOKEN = added_ratio("first-token", "first_token_us")

FLOORS = (
    Floor("miss 1 KB: req/s over bare aiohttp", ratio(MISS, "rps", "bare"), 1.5, 2.0),
    lower("miss 1 KB: CPU over bare aiohttp", ratio(MISS, CPU, "bare"), 0.65, None),
    Floor("miss 1 KB: req/s over Envoy", ratio(MISS, "rps", "envoy"), None, 1.0),
    Floor("miss 1 KB: req/s over nginx", ratio(MISS, "rps", "nginx"), None, 0.4),
    Floor("miss 32 KB: req/s over bare aiohttp", ratio(LARGE, "rps", "bare"), 1.1, 1.6),
    Floor("exact hit 1 KB: req/s over a constant", ratio(HIT, "rps", "constant"), 0.85, 1.15),
    Floor("exact hit 32 KB: req/s over a constant", ratio(BIG_HIT, "rps", "constant"), 0.85, 1.15),
    Floor(f"{SLOW}: share of the ideal rate", IDEAL_SHARE, 95, 97, "%"),
    lower(f"{SLOW}: p50 over the ideal", OVER_IDEAL_MS, 3, None, "ms"),
    lower("added p50 at 40 req/s, 1 KB, over bare's", CALM, 0.75, 0.5),
    lower("added p50 at 40 req/s, 32 KB, over bare's", BIG_CALM, 0.75, 0.5),
    lower("streams: added time to first token over bare's", FIRST_TOKEN, 0.8, 0.6),
    lower("streams: CPU per 1000 chunks over bare's", ratio("streams", CHUNKS, "bare"), 0.75, None),
    lower("streams: CPU per 1000 chunks over nginx's", ratio("streams", CHUNKS, "nginx"), 1.5, 1.1),
    Floor("2 processes on both cores: req/s over one", two_processes, 1.6, 1.9),
    lower("memory idle", of_entry("idle_mib"), 60, 45, "MiB"),
    lower("memory after the load", of_entry("loaded_mib"), 120, 80, "MiB"),
    lower("cold start of the proxy role", of_entry("cold_starts_s"), 0.8, 0.4, "s"),
    Floor("miss 1 KB: req/s over LiteLLM", ratio(MISS, "rps", "litellm"), 60, 100),
    Floor("miss 1 KB: req/s over Portkey", ratio(MISS, "rps", "portkey"), 10, 17),
    Floor("miss 1 KB: req/s over TensorZero", ratio(MISS, "rps", "tensorzero"), 2, 3),
)  # fmt: skip
