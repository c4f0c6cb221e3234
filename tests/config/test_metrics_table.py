"""The declared families keep Prometheus' naming rules."""

import re

from config.metrics_table import BUCKETS_S, FAMILIES, METRICS, MetricKind


def test_names_are_unique_and_well_formed() -> None:
    assert len(FAMILIES) == len(METRICS)
    for family in METRICS:
        assert re.fullmatch(r"apex_[a-z_]+", family.name)
        assert family.help.endswith(".")
        assert all(re.fullmatch(r"[a-z_]+", label) for label in family.label_names)
        assert "le" not in family.label_names


def test_counters_end_in_total_and_nothing_else_does() -> None:
    for family in METRICS:
        assert family.name.endswith("_total") == (family.kind is MetricKind.counter)


def test_buckets_rise() -> None:
    assert list(BUCKETS_S) == sorted(set(BUCKETS_S))
