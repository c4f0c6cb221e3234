"""The age of a snapshot: since SQL confirmed it last, not since its content changed."""

import os
from pathlib import Path

from config.clock import Clock
from policies.snapshot_age import CONFIRMED_FILE, SNAPSHOT_FILE, confirm_snapshot, read_age_s

HOUR_S = 3600.0


def put(path: Path, age_s: float) -> None:
    path.touch()
    moment = Clock().now() - age_s
    os.utime(path, (moment, moment))


def test_without_a_snapshot_there_is_no_age(tmp_path: Path) -> None:
    assert read_age_s(tmp_path) is None
    confirm_snapshot(tmp_path)
    assert read_age_s(tmp_path) is None


def test_a_snapshot_is_as_old_as_its_last_confirmation(tmp_path: Path) -> None:
    put(tmp_path / SNAPSHOT_FILE, 5 * HOUR_S)
    assert 5 * HOUR_S <= (read_age_s(tmp_path) or 0) < 6 * HOUR_S
    put(tmp_path / CONFIRMED_FILE, 2 * HOUR_S)
    assert 2 * HOUR_S <= (read_age_s(tmp_path) or 0) < 3 * HOUR_S
    confirm_snapshot(tmp_path)
    assert (read_age_s(tmp_path) or 0) < HOUR_S


def test_a_snapshot_written_after_it_counts_itself(tmp_path: Path) -> None:
    put(tmp_path / CONFIRMED_FILE, 2 * HOUR_S)
    put(tmp_path / SNAPSHOT_FILE, 0)
    assert (read_age_s(tmp_path) or 0) < HOUR_S


def test_a_file_of_the_future_is_of_now(tmp_path: Path) -> None:
    """After the clock of the machine was set back."""
    put(tmp_path / SNAPSHOT_FILE, -HOUR_S)
    assert read_age_s(tmp_path) == 0.0
