"""Counting in one process, and the text of all of them."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.metrics import METRICS, Metrics, render_metrics
from config.metrics_files import MetricsFile, Totals, encode_file
from config.metrics_table import BUCKETS_S

COUNTER = """
import os, signal, sys
from pathlib import Path
from config.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]), "proxy")
metrics.count("apex_auth_failures_total", amount=3)
metrics.gauge("apex_open_requests", 9)
metrics.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def samples(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]


def test_own_counts_are_shown_without_a_flush(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "proxy")
    metrics.count("apex_requests_total", ("chat", "ok", "miss"))
    metrics.count("apex_requests_total", ("chat", "ok", "miss"), 2)
    metrics.gauge("apex_open_requests", 5)
    metrics.gauge("apex_open_requests", 2)
    text = render_metrics(tmp_path, metrics)
    expected = 'apex_requests_total{endpoint="chat",outcome="ok",cache="miss"} 3'
    assert samples(text, "apex_requests_total") == [expected]
    assert samples(text, "apex_open_requests") == ["apex_open_requests 2"]


def test_own_file_is_not_counted_twice(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "proxy")
    metrics.count("apex_auth_failures_total")
    metrics.flush()
    assert metrics.path == tmp_path / f"proxy-{os.getpid()}.json"
    for own in (metrics, None):
        text = render_metrics(tmp_path, own)
        assert samples(text, "apex_auth_failures_total") == ["apex_auth_failures_total 1"]


def test_roles_of_one_process_are_added_up(tmp_path: Path) -> None:
    proxy, admin = Metrics(tmp_path, "proxy"), Metrics(tmp_path, "admin")
    for metrics, number in ((proxy, 4), (admin, 3)):
        metrics.count("apex_auth_failures_total")
        metrics.gauge("apex_cache_bytes", 10)
        metrics.gauge("apex_snapshot_number", number)
        metrics.flush()
    text = render_metrics(tmp_path, admin)
    assert samples(text, "apex_auth_failures_total") == ["apex_auth_failures_total 2"]
    assert samples(text, "apex_cache_bytes") == ["apex_cache_bytes 20"]
    assert samples(text, "apex_snapshot_number") == ["apex_snapshot_number 3"]


def test_a_killed_process_keeps_its_counters_and_loses_its_gauges(tmp_path: Path) -> None:
    """trust.md B3 row 19."""
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COUNTER, str(tmp_path)], check=False, timeout=30)
    text = render_metrics(tmp_path, None)
    assert samples(text, "apex_auth_failures_total") == ["apex_auth_failures_total 6"]
    assert samples(text, "apex_open_requests") == []


def test_a_pid_used_again_goes_on_from_the_file(tmp_path: Path) -> None:
    """In a container every start may have the same pid."""
    totals = Totals()
    totals.counters["apex_auth_failures_total"][()] = 5
    totals.gauges["apex_open_requests"][()] = 5
    first = Metrics(tmp_path, "proxy")
    first.path.write_bytes(encode_file(MetricsFile(totals)))
    second = Metrics(tmp_path, "proxy")
    second.count("apex_auth_failures_total")
    second.observe("apex_request_seconds", 0.5, ("chat",))
    second.flush()
    third = Metrics(tmp_path, "proxy")
    third.observe("apex_request_seconds", 0.5, ("chat",))
    text = render_metrics(tmp_path, third)
    assert samples(text, "apex_auth_failures_total") == ["apex_auth_failures_total 6"]
    assert samples(text, "apex_open_requests") == []
    assert 'apex_request_seconds_count{endpoint="chat"} 2' in text


def test_observations_fall_into_the_bucket_that_includes_their_bound(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "proxy")
    for value in (0.0, 0.001, 0.0011, 600.0, 601.0):
        metrics.observe("apex_request_seconds", value, ("chat",))
    text = render_metrics(tmp_path, metrics)
    buckets = samples(text, "apex_request_seconds_bucket")
    assert len(buckets) == len(BUCKETS_S) + 1
    assert buckets[0] == 'apex_request_seconds_bucket{endpoint="chat",le="0.001"} 2'
    assert buckets[1].endswith(" 3")
    assert buckets[-2:] == [
        'apex_request_seconds_bucket{endpoint="chat",le="600"} 4',
        'apex_request_seconds_bucket{endpoint="chat",le="+Inf"} 5',
    ]


def test_undeclared_names_and_labels_are_programming_errors(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "proxy")
    for name in ("apex_nonsense_total", "apex_open_requests"):
        with pytest.raises(KeyError):
            metrics.count(name)
    with pytest.raises(ValueError, match="endpoint"):
        metrics.count("apex_requests_total", ("chat",))
    with pytest.raises(ValueError, match="upstream"):
        metrics.gauge("apex_upstream_breaker_open", 1)
    with pytest.raises(ValueError, match="endpoint"):
        metrics.observe("apex_request_seconds", 1.0)
    assert all(
        samples(render_metrics(tmp_path, metrics), family.name) in ([], [f"{family.name} 0"])
        for family in METRICS
    )


def test_unchanged_metrics_are_not_written_again(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "proxy")
    metrics.flush()
    first = metrics.path.stat().st_ino
    metrics.flush()
    assert metrics.path.stat().st_ino == first
    metrics.count("apex_coalesced_total")
    metrics.flush()
    assert metrics.path.stat().st_ino != first
    assert [path.name for path in tmp_path.iterdir()] == [metrics.path.name]


def test_failed_flushes_are_logged_once_and_made_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "metrics"
    metrics = Metrics(directory, "proxy")
    directory.rmdir()
    with caplog.at_level(logging.WARNING):
        metrics.flush()
        metrics.flush()
    assert caplog.text.count("metrics cannot be written") == 1
    directory.mkdir()
    metrics.flush()
    assert metrics.path.exists()
