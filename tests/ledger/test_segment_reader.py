"""Reading segments: torn tails end quietly, damage is found whatever byte it hits."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.segment_format import HEADER_BYTES, encode_frame
from ledger.segment_log import SegmentWriter
from ledger.segment_reader import (
    CorruptSegmentError,
    is_writer_alive,
    list_segments,
    read_segment,
    remove_segment,
)

PAYLOADS = [b"first", b"second record", b"\x00" * 20, b"4"]


def boundaries(payloads: list[bytes]) -> list[int]:
    ends = [0]
    for payload in payloads:
        ends.append(ends[-1] + HEADER_BYTES + len(payload))
    return ends


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def read(path: Path, offset: int = 0) -> list[bytes]:
    return [record.payload for record in read_segment(path, offset)]


def test_records_say_where_they_lie(tmp_path: Path) -> None:
    path = write(tmp_path / "1.seg", b"".join(map(encode_frame, PAYLOADS)))
    records = list(read_segment(path))
    ends = boundaries(PAYLOADS)
    assert [record.payload for record in records] == PAYLOADS
    assert [record.offset for record in records] == ends[:-1]
    assert [record.next_offset for record in records] == ends[1:]
    for index, end in enumerate(ends):
        assert read(path, end) == PAYLOADS[index:]


def test_every_truncation_yields_the_whole_records_before_it(tmp_path: Path) -> None:
    """Trust row 20: a torn tail is cut, the rest is intact."""
    data = b"".join(map(encode_frame, PAYLOADS))
    ends = boundaries(PAYLOADS)
    for length in range(len(data) + 1):
        path = write(tmp_path / "1.seg", data[:length])
        whole = sum(end <= length for end in ends[1:])
        assert read(path) == PAYLOADS[:whole], length


@settings(max_examples=30, deadline=None)
@given(payloads=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4))
def test_every_flipped_byte_is_found(
    payloads: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("flip") / "1.seg"
    data = b"".join(map(encode_frame, payloads))
    ends = boundaries(payloads)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF if position % 2 else 0x01
        path.write_bytes(damaged)
        hit = sum(end <= position for end in ends[1:])
        found: list[bytes] = []
        with pytest.raises(CorruptSegmentError) as caught:
            found.extend(record.payload for record in read_segment(path))
        assert caught.value.offset == ends[hit]
        reading = read_segment(path)
        assert [next(reading).payload for _ in range(hit)] == payloads[:hit]


def test_zeros_at_the_end_are_a_torn_tail_and_in_the_middle_damage(tmp_path: Path) -> None:
    """After a power cut a file may have grown without its data."""
    first = encode_frame(b"first")
    assert read(write(tmp_path / "1.seg", first + bytes(64))) == [b"first"]
    path = write(tmp_path / "2.seg", first + bytes(64) + first)
    with pytest.raises(CorruptSegmentError, match="damaged at byte 13"):
        read(path)


def test_no_directory_is_no_segments(tmp_path: Path) -> None:
    assert list_segments(tmp_path / "none") == []
    assert not is_writer_alive(tmp_path / "none")


def test_a_segment_is_sealed_by_its_successor_or_its_writers_end(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "proxy-0-aa", max_bytes=10)
    writer.append(b"x" * 20)
    writer.append(b"y")
    found = [(s.name, s.is_sealed, s.is_writer_alive) for s in list_segments(tmp_path)]
    assert found == [("proxy-0-aa/00000001", True, True), ("proxy-0-aa/00000002", False, True)]
    writer.close()
    assert all(s.is_sealed and not s.is_writer_alive for s in list_segments(tmp_path))


def test_the_last_segment_of_a_dead_writer_takes_its_directory_along(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "proxy-0-aa", max_bytes=1)
    writer.append(b"x")
    writer.append(b"y")
    first, _ = list_segments(tmp_path)
    remove_segment(first)
    assert (tmp_path / "proxy-0-aa").is_dir()
    writer.close()
    remove_segment(list_segments(tmp_path)[0])
    assert not (tmp_path / "proxy-0-aa").exists()
