"""Events whose data is not JSON. Used by the taps: one ends a stream as an error of its upstream.

Every official client parses each event and fails with an error of its own parser, which no caller
expects; and a stream with such a hole is not to be kept.
"""

import json
from typing import Any

UNREADABLE: dict[str, Any] = {
    "message": "An event of the upstream's stream is not JSON.",
    "code": "upstream_event_unreadable",
}


def is_unreadable(data: bytes) -> bool:
    """Return whether no client could read an event's data; only asked where our parser failed.

    Clients are less strict than we are: some servers write NaN, and some end every dialect alike.
    """
    if not data or data.startswith(b"[DONE]"):
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return True
    return False
