"""Figures made of a report's medians: ratios, added times, shares. Pure; named by floors.py.

A ratio's spread is that of its rounds, which lie close together in time.
"""

from collections.abc import Callable

from bench.gateways.figures import Report, Spread

Measure = Callable[[Report], Spread | None]


def ratio(scenario: str, figure: str, other: str, ours: str = "apex") -> Measure:
    """Ours over the other's, of medians; least and most of the rounds, each with its own."""

    def measure(report: Report) -> Spread | None:
        return ratio_of(report, (scenario, ours), (scenario, other), figure)

    return measure


def ratio_of(
    report: Report, ours: tuple[str, str], other: tuple[str, str], figure: str
) -> Spread | None:
    """Both named as (scenario, gateway)."""
    mine, theirs = report.spread(*ours, figure), report.spread(*other, figure)
    if mine is None or theirs is None or not theirs.median:
        return None
    pairs = zip(report.runs_of(*ours), report.runs_of(*other), strict=False)
    values = [getattr(a, figure) / getattr(b, figure) for a, b in pairs if getattr(b, figure)]
    middle = mine.median / theirs.median
    return Spread(middle, min([middle, *values]), max([middle, *values]))


def added_ratio(scenario: str, figure: str) -> Measure:
    """Time added over the direct way, ours over the bare pass-through's."""

    def measure(report: Report) -> Spread | None:
        names = ("direct", "apex", "bare")
        medians = [report.median(scenario, name, figure) for name in names]
        rounds = [added_over(*(getattr(run, figure) for run in runs)) for runs in zip(
            *(report.runs_of(scenario, name) for name in names), strict=False
        )]  # fmt: skip
        if any(median is None for median in medians):
            return None
        middle = added_over(*(median or 0.0 for median in medians))
        known = [value for value in [middle, *rounds] if value is not None]
        return None if middle is None else Spread(middle, min(known), max(known))

    return measure


def added_over(direct: float, ours: float, other: float) -> float | None:
    """None where the other added nothing: no ratio to speak of."""
    return (ours - direct) / (other - direct) if other > direct else None


def scaled(scenario: str, figure: str, factor: float, shift: float = 0.0) -> Measure:
    """Ours alone, times `factor`, plus `shift`."""

    def measure(report: Report) -> Spread | None:
        found = report.spread(scenario, "apex", figure)
        if found is None:
            return None
        values = (found.median, found.low, found.high)
        return Spread(*(value * factor + shift for value in values))

    return measure


def two_processes(report: Report) -> Spread | None:
    """Two on both cores, which mock and load share, over one on a core of its own."""
    return ratio_of(report, ("two-processes", "apex2"), ("miss-1k", "apex"), "rps")


def of_entry(figure: str) -> Measure:
    def measure(report: Report) -> Spread | None:
        entry = report.entries.get("apex")
        found = getattr(entry, figure) if entry is not None else None
        return Spread.of(found if isinstance(found, list) else [found] if found else [])

    return measure
