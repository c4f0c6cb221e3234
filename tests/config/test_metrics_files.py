"""Metrics outlive their process and are added up once each."""

import dataclasses
from pathlib import Path

import pytest

from config.metrics_files import (
    HISTOGRAM_CELLS,
    RETIRED_FILE,
    MetricsFile,
    Totals,
    encode_file,
    read_metrics_file,
    retire_dead,
    sum_files,
)
from config.process_identity import identify_own

BYTES = "apex_log_bytes_total"
OPEN = "apex_open_requests"
SNAPSHOT = "apex_snapshot_number"
SECONDS = "apex_request_seconds"


def make_file(count: int, *, is_alive: bool = True, snapshot: int = 1) -> MetricsFile:
    owner = identify_own()
    if not is_alive:
        owner = dataclasses.replace(owner, started_ticks=owner.started_ticks + 1)
    totals = Totals()
    totals.counters[BYTES][()] = count
    totals.gauges[OPEN][()] = count
    totals.gauges[SNAPSHOT][()] = snapshot
    totals.histograms[SECONDS][("chat",)] = [1.0] * HISTOGRAM_CELLS
    return MetricsFile(totals, owner)


def put(directory: Path, name: str, file: MetricsFile) -> None:
    directory.joinpath(name).write_bytes(encode_file(file))


def test_round_trip(tmp_path: Path) -> None:
    file = make_file(5)
    put(tmp_path, "proxy-1.json", file)
    assert read_metrics_file(tmp_path / "proxy-1.json") == file


def test_sum_of_living_and_dead(tmp_path: Path) -> None:
    put(tmp_path, "proxy-1.json", make_file(5, snapshot=8))
    put(tmp_path, "proxy-2.json", make_file(7, snapshot=6))
    put(tmp_path, "proxy-3.json", make_file(100, is_alive=False, snapshot=2))
    totals = sum_files(tmp_path)
    assert totals.counters[BYTES][()] == 112
    assert totals.gauges[OPEN][()] == 12
    assert totals.gauges[SNAPSHOT][()] == 6
    assert totals.histograms[SECONDS][("chat",)] == [3.0] * HISTOGRAM_CELLS
    assert sum_files(tmp_path, tmp_path / "proxy-1.json").counters[BYTES][()] == 107


def test_dead_files_are_folded_into_one(tmp_path: Path) -> None:
    put(tmp_path, "proxy-1.json", make_file(5))
    put(tmp_path, "proxy-2.json", make_file(7, is_alive=False))
    put(tmp_path, "proxy-3.json", make_file(11, is_alive=False))
    before = sum_files(tmp_path)
    assert retire_dead(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["proxy-1.json", RETIRED_FILE]
    assert sum_files(tmp_path) == before
    assert retire_dead(tmp_path) == 0
    assert sum_files(tmp_path) == before


def test_a_crash_while_folding_counts_nothing_twice(tmp_path: Path) -> None:
    dead = make_file(7, is_alive=False)
    put(tmp_path, "proxy-2.json", dead)
    folded = MetricsFile(dead.totals, absorbed=frozenset({"proxy-2.json"}))
    put(tmp_path, RETIRED_FILE, folded)
    assert sum_files(tmp_path).counters[BYTES][()] == 7
    assert retire_dead(tmp_path) == 0
    assert [path.name for path in tmp_path.iterdir()] == [RETIRED_FILE]
    assert sum_files(tmp_path).counters[BYTES][()] == 7


def test_a_pid_used_again_after_folding_counts(tmp_path: Path) -> None:
    put(tmp_path, "proxy-2.json", make_file(7, is_alive=False))
    retire_dead(tmp_path)
    put(tmp_path, "proxy-2.json", make_file(1))
    assert sum_files(tmp_path).counters[BYTES][()] == 8


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"schema":2}', b"null"])
def test_damaged_files_are_left_out(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.joinpath("proxy-1.json").write_bytes(content)
    put(tmp_path, "proxy-2.json", make_file(7))
    assert sum_files(tmp_path).counters[BYTES][()] == 7
    assert "proxy-1.json is left out" in caplog.text


def test_families_of_another_version_are_left_out(tmp_path: Path) -> None:
    totals = Totals()
    totals.counters["apex_gone_total"][()] = 1
    totals.counters[OPEN][()] = 1
    totals.counters[BYTES][("extra",)] = 1
    totals.histograms[SECONDS][("chat",)] = [1.0, 2.0]
    put(tmp_path, "proxy-1.json", MetricsFile(totals))
    read = sum_files(tmp_path)
    assert "apex_gone_total" not in read.counters
    assert OPEN not in read.counters
    assert not read.counters[BYTES]
    assert not read.histograms[SECONDS]


def test_missing_directory_is_empty(tmp_path: Path) -> None:
    assert sum_files(tmp_path / "none") == Totals()
