"""What one process counts, on the hot path, and the text of all processes added up.

Every role holds one Metrics and flushes it each second; the metrics routes call `render_metrics`.
"""

import logging
from bisect import bisect_left
from pathlib import Path
from typing import Any

from config.files import write_atomically
from config.metrics_files import (
    HISTOGRAM_CELLS,
    Labels,
    MetricsFile,
    Totals,
    encode_file,
    read_metrics_file,
    retire_dead,
    sum_files,
)
from config.metrics_table import BUCKETS_S, METRICS, MetricKind
from config.metrics_text import format_totals
from config.process_identity import identify_own

__all__ = ["METRICS", "Metrics", "observe_in", "render_metrics", "retire_dead", "sum_metrics"]

logger = logging.getLogger(__name__)


class _Series(dict[Labels, Any]):
    """Values by labels; the first use of a label set checks it, later ones cost nothing."""

    def __init__(self, name: str, label_names: tuple[str, ...], cells: int) -> None:
        super().__init__()
        self._name = name
        self._label_names = label_names
        self._cells = cells

    def __missing__(self, labels: Labels) -> Any:
        if len(labels) != len(self._label_names):
            raise ValueError(f"{self._name} takes the labels {self._label_names}, not {labels}")
        fresh: Any = [0.0] * self._cells if self._cells else 0
        self[labels] = fresh
        return fresh


def _series_of(kind: MetricKind, cells: int = 0) -> dict[str, Any]:
    return {
        family.name: _Series(family.name, family.label_names, cells)
        for family in METRICS
        if family.kind is kind
    }


class Metrics:
    """The metrics of this process, kept in `directory` as {role}-{pid}.json for after its death.

    An undeclared name is a KeyError, a wrong number of labels a ValueError. One thread only.
    """

    def __init__(self, directory: Path, role: str) -> None:
        self._owner = identify_own()
        self.path = directory / f"{role}-{self._owner.pid}.json"
        self._counters = _series_of(MetricKind.counter)
        self._gauges = _series_of(MetricKind.gauge)
        self._histograms = _series_of(MetricKind.histogram, HISTOGRAM_CELLS)
        self.totals = Totals(self._counters, self._histograms, self._gauges)
        self._flushed = b""
        self._is_failing = False
        directory.mkdir(parents=True, exist_ok=True)
        self._inherit()

    def count(self, name: str, labels: tuple[str, ...] = (), amount: int = 1) -> None:
        """Add to a counter."""
        self._counters[name][labels] += amount

    def observe(self, name: str, value: float, labels: tuple[str, ...] = ()) -> None:
        """Add a value in seconds to a histogram."""
        observe_in(self._histograms[name][labels], value)

    def counter(self, name: str) -> dict[Labels, int]:
        """A counter's values by labels, for who adds to it all the time."""
        series: dict[Labels, int] = self._counters[name]
        return series

    def histogram(self, name: str) -> dict[Labels, list[float]]:
        """A histogram's cells by labels, for who adds to them all the time with `observe_in`."""
        series: dict[Labels, list[float]] = self._histograms[name]
        return series

    def gauge(self, name: str, value: float, labels: tuple[str, ...] = ()) -> None:
        """Set a gauge."""
        series = self._gauges[name]
        series[labels]  # checks the labels
        series[labels] = value

    def flush(self) -> None:
        """Rewrite the file when something changed; a full disk is logged, not raised."""
        content = encode_file(MetricsFile(self.totals, self._owner))
        if content == self._flushed:
            return
        try:
            write_atomically(self.path, content)
        except OSError as error:
            if not self._is_failing:
                logger.warning("metrics cannot be written to %s: %s", self.path, error)
            self._is_failing = True
            return
        self._flushed = content
        self._is_failing = False

    def _inherit(self) -> None:
        """Go on from the file of a dead process that had this role and pid, as containers do."""
        previous = read_metrics_file(self.path)
        if previous is None:
            return
        for name, series in previous.totals.counters.items():
            self._counters[name].update(series)
        for name, histograms in previous.totals.histograms.items():
            self._histograms[name].update(histograms)


def observe_in(cells: list[float], value: float) -> None:
    """Add a value in seconds to a histogram's cells."""
    cells[bisect_left(BUCKETS_S, value)] += 1
    cells[-1] += value


def render_metrics(directory: Path, own: Metrics | None) -> str:
    """Prometheus text 0.0.4 of all processes, `own` as it is now; the dead ones' counters count."""
    return format_totals(_sum(directory, own))


def sum_metrics(own: Metrics) -> Totals:
    """The same as figures: those of every process that keeps its metrics beside `own`."""
    return _sum(own.path.parent, own)


def _sum(directory: Path, own: Metrics | None) -> Totals:
    totals = sum_files(directory, own.path if own else None)
    if own is not None:
        totals.add_lasting(own.totals)
        totals.add_gauges(own.totals)
    return totals
