"""Which attempts may still be under way."""

from pathlib import Path

from config.clock import Clock
from ledger.open_attempts import OPEN_FOR_US, load_open_window
from ledger.segment_log import SegmentWriter


def test_only_recent_attempts_of_living_writers_are_open(tmp_path: Path) -> None:
    clock = Clock()
    living, dead = SegmentWriter(tmp_path, "proxy-0-aa"), SegmentWriter(tmp_path, "proxy-1-bb")
    dead.close()
    window = load_open_window(tmp_path, clock)
    now_us = clock.now_us()
    assert window.has("proxy-0-aa", now_us)
    assert not window.has("proxy-1-bb", now_us)
    assert not window.has("proxy-0-aa", now_us - OPEN_FOR_US - 1_000_000)
    scaled = Clock(scale=60, origin=clock.now())
    assert load_open_window(tmp_path, scaled).has("proxy-0-aa", now_us - 59 * OPEN_FOR_US)
    living.close()
    assert load_open_window(tmp_path, clock).writers == ()
