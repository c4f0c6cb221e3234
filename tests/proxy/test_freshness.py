"""How long ago the control plane vouched: rows 9 and 10 of the fault table."""

import os
from pathlib import Path

from config.clock import Clock
from policies.snapshot_age import CONFIRMED_FILE
from proxy.freshness import DOUBT_AFTER_S, Freshness, age_on_disk
from tests.proxy.samples import SteppedClock


def test_time_makes_it_doubtful_and_then_over() -> None:
    clock = SteppedClock()
    fresh = Freshness(clock, 3600.0, age_s=0.0)
    assert (fresh.is_doubtful, fresh.is_over) == (False, False)
    clock.step(DOUBT_AFTER_S + 1)
    assert (fresh.is_doubtful, fresh.is_over) == (True, False)
    clock.step(3600)
    assert fresh.is_over
    fresh.note_age(5000)
    assert fresh.is_over, "that is longer ago than what is known"
    fresh.note_age(100)
    assert (fresh.is_over, fresh.age_s) == (False, 100)
    fresh.confirm()
    assert (fresh.is_doubtful, fresh.is_over, fresh.age_s) == (False, False, 0.0)


def test_a_start_counts_from_what_lies_on_disk(tmp_path: Path) -> None:
    clock = Clock()
    assert age_on_disk(tmp_path, clock) == 0.0
    for name, ago in (("snapshot.sealed", 5000), (CONFIRMED_FILE, 4000)):
        (tmp_path / name).touch()
        moment = clock.now() - ago
        os.utime(tmp_path / name, (moment, moment))
    assert 3999 <= age_on_disk(tmp_path, clock) <= 4060
    assert age_on_disk(tmp_path, Clock(scale=60.0)) == 0.0, "a simulated time has no files"
    later = clock.now() + 4000
    os.utime(tmp_path / CONFIRMED_FILE, (later, later))
    assert age_on_disk(tmp_path, clock) == 0.0
