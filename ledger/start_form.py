"""START as bytes: what many requests share is encoded once, the rest of each request behind it.

Made by proxy.event_drafts and kept with the snapshot, written by ledger.sink. The dataclass stays
the schema: both ways give the same JSON but for the order of its fields.
"""

from typing import Any

import orjson

from ledger.event_bytes import MAX_EVENT_BYTES, encode_clipped
from ledger.events import AttemptStart

# What differs from request to request; everything else is the form's.
VARYING = (
    "request_id",
    "attempt",
    "tenant",
    "key_id",
    "at_us",
    "holdout_draw",
    "canary_draw",
    "prompt_bytes",
    "body_bytes",
    "max_output_tokens",
    "request_key",
    "prefix_blocks",
    "session",
    "user",
    "tags",
    "idempotency",
    "deadline_s",
)


class StartForm:
    """The fields that a START shares with others of its kind, ready to be written."""

    __slots__ = ("_shared", "_written")

    def __init__(self, start: AttemptStart) -> None:
        """Take them over from one such START."""
        shared = {name: value for name, value in vars(start).items() if name not in VARYING}
        self._shared = shared
        try:
            self._written = orjson.dumps(shared)[:-1] + b","
        except orjson.JSONEncodeError:  # every START of this form is cut to what can be written
            self._written = b""

    @property
    def size_bytes(self) -> int:
        """What keeping this form costs at least; 0 when it must not be kept."""
        return len(self._written)

    def encode(self, varying: dict[str, Any]) -> bytes:
        """One START, its VARYING fields given: the bytes `encode_event` gives, reordered."""
        try:
            payload = self._written + orjson.dumps(varying)[1:]
        except orjson.JSONEncodeError:
            return encode_clipped({**self._shared, **varying})
        if len(payload) > MAX_EVENT_BYTES or not self._written:
            return encode_clipped({**self._shared, **varying})
        return payload
