"""A complete answer as it is kept: in the cache, by a flight, or for an idempotency key.

Made by upstream replies (reply.py), read by cache.py and replies to hits. Bytes are kept as the
provider sent them, so that nothing of the answer is lost on the way through the cache.
"""

from dataclasses import dataclass
from typing import Literal

from ledger.rating import TokenBuckets
from proxy.live import Place

Form = Literal["json", "sse"]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One complete answer; `body` is a JSON document or a whole event stream with its [DONE]."""

    form: Form
    body: bytes
    request_id: str
    place: Place
    upstream_model: str
    served_model: str
    served_tier: str
    finish_reasons: list[str]
    buckets: TokenBuckets | None
    provider_usage: str
    stored_at: float
    body_digest: str = ""

    @property
    def size_bytes(self) -> int:
        """Bytes this answer is charged with; the constant covers the objects around the body."""
        return len(self.body) + 1024
