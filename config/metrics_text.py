"""Totals as Prometheus text, exposition format 0.0.4. Called by config.metrics alone."""

from collections.abc import Iterator

from config.metrics_files import Labels, Totals
from config.metrics_table import BUCKETS_S, METRICS, Family, MetricKind


def format_totals(totals: Totals) -> str:
    """Every declared family with its help and type; a counter without labels starts at 0."""
    return "".join(f"{line}\n" for family in METRICS for line in _format_family(family, totals))


def _format_family(family: Family, totals: Totals) -> Iterator[str]:
    help_text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {family.name} {help_text}"
    yield f"# TYPE {family.name} {family.kind}"
    if family.kind is MetricKind.histogram:
        for labels, cells in sorted(totals.histograms.get(family.name, {}).items()):
            yield from _format_histogram(family, labels, cells)
        return
    is_counter = family.kind is MetricKind.counter
    series = (totals.counters if is_counter else totals.gauges).get(family.name, {})
    if is_counter and not family.label_names:
        series = {(): 0, **series}
    for labels, value in sorted(series.items()):
        yield f"{family.name}{_format_labels(family.label_names, labels)} {_format_number(value)}"


def _format_histogram(family: Family, labels: Labels, cells: list[float]) -> Iterator[str]:
    names = (*family.label_names, "le")
    total = 0.0
    for bound, count in zip((*BUCKETS_S, float("inf")), cells, strict=False):
        total += count
        shown = _format_labels(names, (*labels, _format_number(bound)))
        yield f"{family.name}_bucket{shown} {_format_number(total)}"
    shown = _format_labels(family.label_names, labels)
    yield f"{family.name}_sum{shown} {_format_number(cells[-1])}"
    yield f"{family.name}_count{shown} {_format_number(total)}"


def _format_labels(names: tuple[str, ...], values: Labels) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{','.join(pairs)}}}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _format_number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
