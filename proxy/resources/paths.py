"""What a path below /v1/ means: its collection, the object it names, and what may not be reached.

Called by relay.py with the path as the client sent it. Unknown collections are treated like known
ones: whatever stands where an object's id stands must belong to the caller.
"""

import re
from typing import NamedTuple

from proxy.errors import GatewayError

# Collections whose names have two parts.
TWO_PARTS = frozenset(
    {"fine_tuning/jobs", "fine_tuning/checkpoints", "fine_tuning/alpha", "chat/completions"}
)
# Operations, not collections: what follows is a verb, and nothing is kept that has an id.
OPERATIONS = frozenset({"images", "audio", "moderations", "rerank"})
VERBS = frozenset({"search", "runs"})  # in the place of an id
# These would hand out or govern the operator's own account, or a way past the gateway.
CLOSED = {
    "organization": "The operator's account is not reachable through the gateway.",
    "organizations": "The operator's account is not reachable through the gateway.",
    "projects": "The operator's account is not reachable through the gateway.",
    "dashboard": "The operator's account is not reachable through the gateway.",
    "usage": "Ask the gateway's own usage report.",
    "realtime": "Connect to GET /v1/realtime with your key; keys for direct calls are not made.",
    "chatkit": "Sessions for direct calls to the provider bypass the gateway's limits.",
}
SEGMENT = re.compile(r"[A-Za-z0-9_.:=-]{1,256}")
MOST_SEGMENTS = 8


class ResourcePath(NamedTuple):
    """One path: `collection` names events, `object_id` is "" where none is named."""

    text: str  # without the leading /v1/
    collection: str
    object_id: str
    rest: tuple[str, ...]  # below the object

    @property
    def is_operation(self) -> bool:
        return self.collection in OPERATIONS

    @property
    def is_top(self) -> bool:
        """Whether the path is the collection itself: GET lists it, POST makes an object."""
        return not self.object_id and not self.rest


def read_path(raw_path: str) -> ResourcePath:
    """Split a path below /v1/; raises GatewayError for one that may not or cannot be relayed.

    Only plain segments pass, so that no upstream reads a path in another way than we do.
    """
    text = raw_path.rstrip("/")
    segments = text.split("/")
    if len(segments) > MOST_SEGMENTS or not all(SEGMENT.fullmatch(each) for each in segments):
        raise _not_served(text, "Ids and names in a path are plain letters, digits, - _ . : =")
    if any(each in {".", ".."} for each in segments):
        raise _not_served(text, "Leave dots out of the path.")
    if segments[0] in CLOSED:
        raise _not_served(text, CLOSED[segments[0]])
    width = 2 if "/".join(segments[:2]) in TWO_PARTS else 1
    collection, below = "/".join(segments[:width]), tuple(segments[width:])
    if collection in OPERATIONS:
        return ResourcePath(text, collection, "", below)
    if below and below[0] in VERBS:
        return ResourcePath(text, collection, "", below)
    return ResourcePath(text, collection, below[0] if below else "", below[1:])


def _not_served(text: str, hint: str) -> GatewayError:
    return GatewayError(404, "unknown_route", f"/v1/{text[:128]} is not served.", hint)
