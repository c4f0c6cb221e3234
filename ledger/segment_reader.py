"""Reads segments back: used by the shipper and by the conservation check, never by the data plane.

A tail that ends inside a record is what a killed writer leaves: reading stops there quietly.
Anything else that does not check out is damage and is raised, never stepped over.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from ledger.segment_format import HEADER_BYTES, decode_header

LOCK_NAME = "writer.lock"
SEGMENT_SUFFIX = ".seg"


class CorruptSegmentError(Exception):
    """A segment is damaged at `offset`: what lies before is good, what follows is not read."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(f"{path.parent.name}/{path.name} is damaged at byte {offset}: {reason}")
        self.path = path
        self.offset = offset
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Record:
    """One payload, where its frame begins and where the next one does (bytes into the file)."""

    payload: bytes
    offset: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A segment on disk. `name` ("<writer>/<number>") is its identity in the store."""

    path: Path
    name: str
    is_sealed: bool
    is_writer_alive: bool


def read_segment(path: Path, offset: int = 0) -> Iterator[Record]:
    """Yield the whole records from `offset` on; stop at a torn tail; raise CorruptSegmentError."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    position = 0
    while len(data) - position >= HEADER_BYTES:
        header = decode_header(data, position)
        if header is None:
            if not any(data[position:]):
                return  # zeros to the end: the file had grown, the data never reached the disk
            raise CorruptSegmentError(
                path, offset + position, "the record's header does not check out"
            )
        start = position + HEADER_BYTES
        end = start + header[0]
        if end > len(data):
            return
        payload = data[start:end]
        if crc32(payload) != header[1]:
            raise CorruptSegmentError(path, offset + position, "the record's checksum is wrong")
        yield Record(payload, offset + position, offset + end)
        position = end


def list_segments(segments_dir: Path) -> list[SegmentFile]:
    """Every segment of every writer, oldest first within a writer. A missing directory is empty."""
    if not segments_dir.is_dir():
        return []
    writers = sorted(path for path in segments_dir.iterdir() if path.is_dir())
    return [segment for writer in writers for segment in _segments_of(writer)]


def is_writer_alive(writer_dir: Path) -> bool:
    """Whether a process holds the writer's lock: the kernel drops it even after kill -9."""
    try:
        descriptor = os.open(writer_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _segments_of(writer_dir: Path) -> list[SegmentFile]:
    # Liveness is asked first: a writer that dies in between leaves a complete listing behind,
    # and one that rotates in between only makes a sealed file look unsealed until next time.
    is_alive = is_writer_alive(writer_dir)
    paths = sorted(writer_dir.glob(f"*{SEGMENT_SUFFIX}"))
    return [
        SegmentFile(path, f"{writer_dir.name}/{path.stem}", not is_alive or rest > 0, is_alive)
        for rest, path in zip(range(len(paths) - 1, -1, -1), paths, strict=True)
    ]


def remove_segment(segment: SegmentFile) -> None:
    """Delete a segment, and its writer's directory when the writer is gone and it was the last."""
    segment.path.unlink(missing_ok=True)
    writer_dir = segment.path.parent
    if segment.is_writer_alive or any(writer_dir.glob(f"*{SEGMENT_SUFFIX}")):
        return
    (writer_dir / LOCK_NAME).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something else lies in it: not ours to remove
        writer_dir.rmdir()
