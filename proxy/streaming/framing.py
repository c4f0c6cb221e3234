"""Cuts a byte stream into whole server-sent events, whatever the chunk boundaries.

Used by tap.py on live streams and by replay.py on stored ones. Events end with an empty line;
LF, CRLF and mixtures occur. Bytes are never re-serialised.
"""

import re
from collections.abc import Iterator

EVENT_END = re.compile(rb"\r?\n\r?\n")
LAST_EVENT_END = (b"\n\n", b"\n\r\n")
LARGEST_EVENT_BYTES = 16_777_216


class OversizedEventError(ValueError):
    """One event is larger than LARGEST_EVENT_BYTES."""


class EventFramer:
    """Collects chunks and hands out the part that consists of whole events."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """Add a chunk; return all bytes up to the end of the last whole event (maybe none)."""
        data = self.pending + chunk if self.pending else chunk
        cut = max(data.rfind(end) + len(end) if end in data else 0 for end in LAST_EVENT_END)
        if cut == len(data):
            self.pending = b""
            return data
        self.pending = data[cut:]
        if len(self.pending) > LARGEST_EVENT_BYTES:
            raise OversizedEventError(f"event larger than {LARGEST_EVENT_BYTES} bytes")
        return data[:cut]


def split_events(data: bytes) -> Iterator[bytes]:
    """Iterate over the events of a run of whole events, each with its terminator."""
    start = 0
    for match in EVENT_END.finditer(data):
        yield data[start : match.end()]
        start = match.end()
    if start < len(data):
        yield data[start:]


def data_of(event: bytes) -> bytes:
    """Return the payload of an event: its `data:` lines joined; b"" for comments."""
    if event.startswith(b"data: ") and event.count(b"\n") == 2:
        return event[6:].rstrip(b"\r\n")
    lines: list[bytes] = []
    for line in event.splitlines():
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
    return b"\n".join(lines)
