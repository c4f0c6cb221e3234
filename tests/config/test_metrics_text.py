"""The text, parsed back by the strict rules of exposition format 0.0.4."""

import math
import re
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from config.metrics_files import HISTOGRAM_CELLS, Totals
from config.metrics_table import BUCKETS_S, METRICS
from config.metrics_text import format_totals

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Labels = tuple[tuple[str, str], ...]


@dataclass
class ParsedFamily:
    kind: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)


def parse_labels(text: str | None) -> Labels:
    if text is None:
        return ()
    labels, position = [], 0
    while position < len(text):
        match = LABEL.match(text, position)
        assert match, text[position:]
        value = re.sub(r'\\[\\"n]', lambda escape: ESCAPES[escape.group()], match.group(2))
        labels.append((match.group(1), value))
        position = match.end()
    assert len({name for name, _ in labels}) == len(labels)
    return tuple(labels)


def parse_exposition(text: str) -> dict[str, ParsedFamily]:
    """Families by name; asserts on anything the format does not allow."""
    assert text.endswith("\n")
    families: dict[str, ParsedFamily] = {}
    helped = current = ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            assert helped not in families
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current == helped
            assert kind in {"counter", "gauge", "histogram"}
            families[current] = ParsedFamily(kind)
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.group(1), parse_labels(match.group(2)), match.group(3)
            suffix = name.removeprefix(current)
            allowed = {"_bucket", "_sum", "_count"}
            assert suffix in (allowed if families[current].kind == "histogram" else {""})
            key = (name, labels)
            assert key not in families[current].samples
            families[current].samples[key] = float(value)
    return families


def test_every_family_is_declared_even_when_nothing_happened() -> None:
    families = parse_exposition(format_totals(Totals()))
    assert list(families) == [family.name for family in METRICS]
    assert families["apex_log_bytes_total"].samples == {("apex_log_bytes_total", ()): 0}
    assert families["apex_open_requests"].samples == {}
    assert families["apex_requests_total"].samples == {}


def test_counters_and_gauges() -> None:
    totals = Totals()
    totals.counters["apex_requests_total"]["chat", "ok", "miss"] = 2**53
    totals.gauges["apex_ship_lag_seconds"][()] = 0.25
    families = parse_exposition(format_totals(totals))
    labels = (("endpoint", "chat"), ("outcome", "ok"), ("cache", "miss"))
    assert families["apex_requests_total"].samples == {("apex_requests_total", labels): 2**53}
    assert families["apex_ship_lag_seconds"].samples == {("apex_ship_lag_seconds", ()): 0.25}


def test_histogram_is_cumulative_and_complete() -> None:
    cells = [0.0] * HISTOGRAM_CELLS
    cells[0], cells[3], cells[-2], cells[-1] = 2, 1, 1, 700.5
    totals = Totals()
    totals.histograms["apex_request_seconds"][("chat",)] = cells
    samples = parse_exposition(format_totals(totals))["apex_request_seconds"].samples
    chat = ("endpoint", "chat")
    buckets = [
        (float(dict(labels)["le"]), value)
        for (name, labels), value in samples.items()
        if name == "apex_request_seconds_bucket"
    ]
    assert [bound for bound, _ in buckets] == [*BUCKETS_S, math.inf]
    counts = [count for _, count in buckets]
    assert counts == sorted(counts)
    assert (counts[0], counts[2], counts[3], counts[-2], counts[-1]) == (2, 2, 3, 3, 4)
    assert samples["apex_request_seconds_count", (chat,)] == 4
    assert samples["apex_request_seconds_sum", (chat,)] == 700.5


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_label_value_survives(value: str) -> None:
    totals = Totals()
    totals.counters["apex_refused_total"][(value,)] = 1
    samples = parse_exposition(format_totals(totals))["apex_refused_total"].samples
    assert samples == {("apex_refused_total", (("code", value),)): 1}
