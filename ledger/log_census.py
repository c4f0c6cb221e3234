"""Counts what the segment log holds: every event by its place, starts matched with their ends.

Used by ledger.conservation, in a thread. Memory grows with the retained log, some 150 B an event.
"""

from dataclasses import dataclass, field
from pathlib import Path

from ledger.events import START, event_id
from ledger.segment_reader import CorruptSegmentError, SegmentFile, list_segments, read_segment
from ledger.usage_row import UnreadableEventError, decode_event


@dataclass(slots=True)
class SegmentCensus:
    """The events of one segment as (offset, event id), and where its last whole record ends."""

    name: str
    end: int = 0
    events: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class LogCensus:
    """Starts and ends are counted once however often they were written.

    `without_end` holds (writer, at_us) of each start without an end.
    """

    segments: list[SegmentCensus] = field(default_factory=list)
    starts: int = 0
    ends: int = 0
    without_end: list[tuple[str, int]] = field(default_factory=list)
    ends_without_start: list[str] = field(default_factory=list)
    ends_past_retention: int = 0
    torn_bytes: int = 0
    damaged: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Writer:
    """Attempts never cross writers, so they are matched within one."""

    starts: dict[str, int] = field(default_factory=dict)
    ends: set[str] = field(default_factory=set)
    has_lost_segments: bool = False


def take_census(segments_dir: Path) -> LogCensus:
    """Read every retained segment; a damaged one counts up to its damage."""
    census = LogCensus()
    writers: dict[str, _Writer] = {}
    for segment in list_segments(segments_dir):
        name = segment.path.parent.name
        if name not in writers:
            writers[name] = _Writer(has_lost_segments=int(segment.path.stem) > 1)
        census.segments.append(_count_segment(segment, writers[name], census))
    for name, writer in writers.items():
        _match(name, writer, census)
    return census


def _count_segment(segment: SegmentFile, writer: _Writer, census: LogCensus) -> SegmentCensus:
    counted = SegmentCensus(segment.name)
    try:
        for record in read_segment(segment.path):
            event = decode_event(record.payload)
            identity = (event["tenant"], event["request_id"], event["attempt"])
            start_id = event_id(*identity, START)
            is_start = event["kind"] == START
            own_id = start_id if is_start else event_id(*identity, event["kind"])
            counted.events.append((record.offset, own_id))
            counted.end = record.next_offset
            if is_start:
                writer.starts[start_id] = event["at_us"]
            else:
                writer.ends.add(start_id)
    except (CorruptSegmentError, UnreadableEventError) as error:
        census.damaged.append(f"{segment.name}: {error}")
    else:
        if segment.is_sealed:
            census.torn_bytes += segment.path.stat().st_size - counted.end
    return counted


def _match(name: str, writer: _Writer, census: LogCensus) -> None:
    census.starts += len(writer.starts)
    for start_id in writer.ends:
        if start_id in writer.starts:
            census.ends += 1
        elif writer.has_lost_segments:
            census.ends_past_retention += 1
        else:
            census.ends_without_start.append(f"{name} {start_id}")
    census.without_end += [
        (name, at_us) for start_id, at_us in writer.starts.items() if start_id not in writer.ends
    ]
