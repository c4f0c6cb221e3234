"""The metrics of one process as a file that outlives it, and the sum over all such files.

Written and read by config.metrics; the control process calls `retire_dead` at its start.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from config.files import write_atomically
from config.metrics_table import BUCKETS_S, FAMILIES, MetricKind
from config.process_identity import ProcessIdentity

logger = logging.getLogger(__name__)

Labels = tuple[str, ...]
Series = dict[str, dict[Labels, float]]
HistogramSeries = dict[str, dict[Labels, list[float]]]

# What dead processes counted, folded together so that their files do not pile up.
RETIRED_FILE = "retired.json"
SCHEMA = 1
# Each histogram series: a count per bucket, one above the last bound, then the sum of values.
HISTOGRAM_CELLS = len(BUCKETS_S) + 2


@dataclass(slots=True)
class Totals:
    """Counters, histograms and gauges of one process, or of several added up."""

    counters: Series = field(default_factory=lambda: defaultdict(dict))
    histograms: HistogramSeries = field(default_factory=lambda: defaultdict(dict))
    gauges: Series = field(default_factory=lambda: defaultdict(dict))

    def add_lasting(self, other: "Totals") -> None:
        """Add the counters and histograms of `other`, which hold after its process is gone."""
        for name, series in other.counters.items():
            mine = self.counters[name]
            for labels, value in series.items():
                mine[labels] = mine.get(labels, 0) + value
        for name, histograms in other.histograms.items():
            cells_of = self.histograms[name]
            for labels, cells in histograms.items():
                before = cells_of.get(labels, [0.0] * HISTOGRAM_CELLS)
                cells_of[labels] = [a + b for a, b in zip(before, cells, strict=True)]

    def add_gauges(self, other: "Totals") -> None:
        """Add the gauges of `other`, or keep the smaller where the family says so."""
        for name, series in other.gauges.items():
            mine, is_minimum = self.gauges[name], FAMILIES[name].is_minimum
            for labels, value in series.items():
                if labels not in mine:
                    mine[labels] = value
                else:
                    mine[labels] = min(mine[labels], value) if is_minimum else mine[labels] + value


@dataclass(frozen=True, slots=True)
class MetricsFile:
    """One file: whose it is and what it holds; `absorbed` names files that are counted in it."""

    totals: Totals
    owner: ProcessIdentity | None = None
    absorbed: frozenset[str] = frozenset()


def encode_file(file: MetricsFile) -> bytes:
    """The file's content: the same totals give the same bytes."""
    totals, owner = file.totals, file.owner
    document = {
        "schema": SCHEMA,
        "owner": [owner.pid, owner.boot_id, owner.started_ticks] if owner else None,
        "absorbed": sorted(file.absorbed),
        "counters": _listed(totals.counters),
        "histograms": _listed(totals.histograms),
        "gauges": _listed(totals.gauges),
    }
    return orjson.dumps(document)


def read_metrics_file(path: Path) -> MetricsFile | None:
    """A file's content; None when missing, or logged and None when it cannot be understood."""
    try:
        return _decode_file(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("metrics file %s is left out: %s", path, error)
        return None


def sum_files(directory: Path, own_path: Path | None = None) -> Totals:
    """Every file added up but `own_path`; gauges only of processes that live."""
    totals = Totals()
    files = _read_all(directory)
    retired = files.get(RETIRED_FILE)
    absorbed = retired.absorbed if retired else frozenset()
    for name, file in files.items():
        if name in absorbed or (own_path is not None and name == own_path.name):
            continue
        totals.add_lasting(file.totals)
        if file.owner is not None and file.owner.is_alive():
            totals.add_gauges(file.totals)
    return totals


def retire_dead(directory: Path) -> int:
    """Fold the files of dead processes into one; returns how many. For one caller at a time.

    The folded file names what it absorbed before those are removed, so that a crash in between
    counts nothing twice; the next call removes them.
    """
    files = _read_all(directory)
    retired = files.pop(RETIRED_FILE, MetricsFile(Totals()))
    for name in retired.absorbed:
        directory.joinpath(name).unlink(missing_ok=True)
        files.pop(name, None)
    dead = {
        name: file for name, file in files.items() if not (file.owner and file.owner.is_alive())
    }
    for file in dead.values():
        retired.totals.add_lasting(file.totals)
    _write_retired(directory, MetricsFile(retired.totals, absorbed=frozenset(dead)))
    for name in dead:
        directory.joinpath(name).unlink(missing_ok=True)
    # A later process may get the pid of a retired one: its file must not be taken for that one's.
    _write_retired(directory, MetricsFile(retired.totals))
    return len(dead)


def _write_retired(directory: Path, file: MetricsFile) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / RETIRED_FILE, encode_file(file))


def _read_all(directory: Path) -> dict[str, MetricsFile]:
    found = ((path.name, read_metrics_file(path)) for path in sorted(directory.glob("*.json")))
    return {name: file for name, file in found if file is not None}


def _decode_file(document: dict[str, Any]) -> MetricsFile:
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']} is not {SCHEMA}")
    totals = Totals()
    for name, series in _known(document["counters"], MetricKind.counter):
        totals.counters[name] = {tuple(labels): value for labels, value in series}
    for name, series in _known(document["gauges"], MetricKind.gauge):
        totals.gauges[name] = {tuple(labels): value for labels, value in series}
    for name, series in _known(document["histograms"], MetricKind.histogram):
        # Buckets of another version cannot be added to ours.
        totals.histograms[name] = {
            tuple(labels): cells for labels, cells in series if len(cells) == HISTOGRAM_CELLS
        }
    owner = ProcessIdentity(*document["owner"]) if document["owner"] else None
    return MetricsFile(totals, owner, frozenset(document["absorbed"]))


def _known(listed: dict[str, Any], kind: MetricKind) -> list[tuple[str, Any]]:
    """The families that this version still declares with the same labels."""
    return [
        (name, [item for item in series if len(item[0]) == len(FAMILIES[name].label_names)])
        for name, series in listed.items()
        if name in FAMILIES and FAMILIES[name].kind is kind
    ]


def _listed(series: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: list(by_labels.items()) for name, by_labels in series.items() if by_labels}
