"""Where the data plane hands in its usage events: serialise and append, nothing else.

Called by proxy.recorder on the hot path. Rating, ids and shipping happen elsewhere, later.
"""

from config.clock import Clock
from ledger.event_bytes import encode_event
from ledger.events import AttemptEnd, AttemptStart
from ledger.segment_log import SegmentWriter


class EventSink:
    """Writes events; when a method returns, kill -9 cannot lose them. Raises LogWriteError.

    An event without a time (`at_us` 0) gets the present one. A START may come as bytes, made by
    ledger.start_form.
    """

    def __init__(self, writer: SegmentWriter, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    def start(self, event: AttemptStart | bytes) -> None:
        self._writer.append(event if isinstance(event, bytes) else self._encode(event))

    def end(self, event: AttemptEnd) -> None:
        if not event.at_us:
            event.at_us = self._clock.now_us()
        self._writer.append(encode_event(event))

    def start_and_end(self, start: AttemptStart | bytes, end: AttemptEnd) -> None:
        """Both records in one write: for answers that never went upstream."""
        written = start if isinstance(start, bytes) else self._encode(start)
        self._writer.append_many([written, self._encode(end)])

    def close(self) -> None:
        """Sync and close the log."""
        self._writer.close()

    def _encode(self, event: AttemptStart | AttemptEnd) -> bytes:
        if not event.at_us:
            event.at_us = self._clock.now_us()
        return encode_event(event)
