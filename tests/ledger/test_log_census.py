"""The census of the log: starts, ends, what has no end, what is torn or damaged."""

import os
from pathlib import Path

from ledger.log_census import take_census
from ledger.segment_reader import list_segments
from storage.columnar import Columnar
from tests.ledger.samples import AT_US, Ledger, make_end, make_pair, make_start


def test_attempts_are_matched_across_segments(embedded: Columnar, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home", embedded, max_bytes=1)
    ledger.write([make_start("r1"), make_start("r2"), make_start("r2", 2), make_end("r1")])
    ledger.write([make_end("r2", 2), *make_pair("r3"), make_end("r3")])
    census = take_census(ledger.segments_dir)
    assert (census.starts, census.ends) == (4, 3)
    assert census.without_end == [("proxy-0-aa", AT_US)]
    assert sum(len(segment.events) for segment in census.segments) == 8
    assert not census.ends_without_start
    ledger.writer.close()


def test_an_end_without_start_is_named_unless_its_segment_expired(
    embedded: Columnar, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "home", embedded, max_bytes=1)
    ledger.write([make_start("r1"), make_end("r1"), make_end("r2")])
    assert len(take_census(ledger.segments_dir).ends_without_start) == 1
    list_segments(ledger.segments_dir)[0].path.unlink()
    census = take_census(ledger.segments_dir)
    assert (census.ends_without_start, census.ends_past_retention) == ([], 2)
    ledger.writer.close()


def test_torn_and_damaged_segments_are_reported(ledger: Ledger) -> None:
    ledger.write([*make_pair("r1"), *make_pair("r2")])
    (segment,) = list_segments(ledger.segments_dir)
    os.truncate(segment.path, segment.path.stat().st_size - 1)
    assert take_census(ledger.segments_dir).torn_bytes == 0
    ledger.writer.close()
    torn = take_census(ledger.segments_dir)
    assert torn.torn_bytes > 100
    assert (torn.starts, torn.ends, torn.damaged) == (2, 1, [])
    content = bytearray(segment.path.read_bytes())
    content[5] ^= 1
    segment.path.write_bytes(content)
    damaged = take_census(ledger.segments_dir)
    assert (damaged.starts, len(damaged.damaged)) == (0, 1)
