"""Where the data plane hands in its usage events: serialise and append, nothing else.

Called by proxy.pipeline on the hot path. Rating, ids and shipping happen elsewhere, later.
"""

from dataclasses import asdict
from typing import Any

import orjson

from config.clock import Clock
from ledger.events import AttemptEnd, AttemptStart
from ledger.segment_log import SegmentWriter

_MAX_EVENT_BYTES = 65_536
_MAX_TEXT_CHARACTERS = 4096
_MAX_ITEMS = 64
_INT64_MAX = 2**63 - 1


class EventSink:
    """Writes events; when a method returns, kill -9 cannot lose them. Raises LogWriteError.

    An event without a time (`at_us` 0) gets the present one.
    """

    def __init__(self, writer: SegmentWriter, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    def start(self, event: AttemptStart) -> None:
        self._writer.append(self._encode(event))

    def end(self, event: AttemptEnd) -> None:
        self._writer.append(self._encode(event))

    def start_and_end(self, start: AttemptStart, end: AttemptEnd) -> None:
        """Both records in one write: for answers that never went upstream."""
        self._writer.append_many([self._encode(start), self._encode(end)])

    def close(self) -> None:
        """Sync and close the log."""
        self._writer.close()

    def _encode(self, event: AttemptStart | AttemptEnd) -> bytes:
        if event.at_us == 0:
            event.at_us = self._clock.now_us()
        try:
            payload = orjson.dumps(event)
        except orjson.JSONEncodeError:  # a lone surrogate or a huge number, out of a caller's body
            return _encode_clipped(event)
        if len(payload) > _MAX_EVENT_BYTES:
            return _encode_clipped(event)
        return payload


def _encode_clipped(event: AttemptStart | AttemptEnd) -> bytes:
    return orjson.dumps({name: _clipped(value) for name, value in asdict(event).items()})


def _clipped(value: Any) -> Any:
    """The same value with everything a caller could blow up cut to a size that can be stored."""
    if isinstance(value, str):
        return value[:_MAX_TEXT_CHARACTERS].encode("utf-8", "replace").decode()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return max(-_INT64_MAX, min(value, _INT64_MAX))
    if isinstance(value, list):
        return [_clipped(item) for item in value[:_MAX_ITEMS]]
    if isinstance(value, dict):
        return {_clipped(key): _clipped(item) for key, item in list(value.items())[:_MAX_ITEMS]}
    return value
