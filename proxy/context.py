"""One object per request, handed from stage to stage; each field is written once by its stage.

Made by routes.py, filled by pipeline.py and its stages, read last by recorder.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from optimizer.decision import Decision, Draws

if TYPE_CHECKING:
    from ledger.events import AttemptEnd
    from policies.snapshot import KeyRecord, Target
    from proxy.dialects.dialect import Dialect
    from proxy.live import LiveSnapshot
    from proxy.resources.ownership import Owner


class CallerWishes(NamedTuple):
    """What the caller asked of the gateway in headers (wire names in intake.py)."""

    cache_control: str = ""
    is_no_optimize: bool = False
    wants_receipt: bool = False
    tags: Mapping[str, str] = MappingProxyType({})
    session: str = ""
    idempotency_key: str = ""
    retry_count: int = 0
    client_timeout_s: float = 0.0
    latency_objective_ms: int = 0


NO_WISHES = CallerWishes()
NO_DRAWS = Draws(0.0, 0.0)


@dataclass(slots=True)
class RequestContext:
    """Everything known about one request; times are monotonic seconds unless named otherwise."""

    request_id: str
    dialect: "Dialect"
    started: float
    live: "LiveSnapshot"
    wishes: CallerWishes = NO_WISHES
    key: "KeyRecord | None" = None
    tags: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    doc: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    is_streaming: bool = False
    asked_usage: bool = False
    max_output_tokens: int = 0
    choices_n: int = 1
    allows_store: bool = True
    is_deterministic: bool = False
    session_hash: str = ""
    session_source: str = ""
    user_hash: str = ""
    salt_epoch: str = ""
    draws: Draws = NO_DRAWS
    decision: Decision | None = None
    targets: tuple["Target", ...] = ()
    pinned: "Owner | None" = None
    request_key: str = ""
    prefix_blocks: list[str] = field(default_factory=list)
    body_digest: str = ""
    deadline: float = 0.0
    keeps_answer: bool = False
    leads_flight: bool = False
    purges_seen: int = 0
    cache: str = "bypass"
    cache_reason: str = ""
    attempts: int = 0
    open_end: "AttemptEnd | None" = None
    answer_sample: list[bytes] = field(default_factory=list)
    is_recorded: bool = False
    served_model: str = ""
    served_upstream: str = ""
    served_at: float = 0.0

    @property
    def endpoint(self) -> str:
        """The dialect's name, as events and policies spell it."""
        return self.dialect.endpoint
