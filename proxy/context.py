"""One object per request, handed from stage to stage; each field is written once by its stage.

Made by routes.py, filled by pipeline.py and its stages, read last by recorder.py.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from optimizer.decision import Decision, Draws

if TYPE_CHECKING:
    from ledger.events import AttemptEnd
    from policies.snapshot import KeyRecord, Target
    from proxy.callers import Caller
    from proxy.dialects.dialect import Dialect
    from proxy.governing.claims import Hold
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


class RequestContext:
    """Everything known about one request; times are monotonic seconds unless named otherwise.

    A plain class whose defaults are the class's own: a request writes down only what differs.
    """

    caller: "Caller | None" = None
    wishes: CallerWishes = NO_WISHES
    key: "KeyRecord | None" = None
    body: bytes = b""
    path_says: tuple[str, bool] = ("", False)  # model and streaming, where it is not the body
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
    body_digest: str = ""
    deadline: float = 0.0
    keeps_answer: bool = False
    leads_flight: bool = False
    purges_seen: int = 0
    purge_mark: bytes | None = None  # of the shared cache; None: not looked at
    cache: str = "bypass"
    cache_reason: str = ""
    attempts: int = 0
    open_end: "AttemptEnd | None" = None
    is_recorded: bool = False
    hold: "Hold | None" = None  # what it claims of its limits, until it is settled
    is_known: bool = False  # the same bytes came from the same caller before

    def __init__(
        self, request_id: str, dialect: "Dialect", started: float, live: "LiveSnapshot"
    ) -> None:
        self.request_id = request_id
        self.dialect = dialect
        self.started = started
        self.live = live
        self.endpoint = dialect.endpoint  # its name, as events and policies spell it
        self.tags: dict[str, str] = {}
        self.doc: dict[str, Any] = {}
        self.prefix_blocks: list[str] = []
        self.answer_sample: list[bytes] = []

    def take_caller(self, caller: "Caller") -> None:
        """Write down who calls, what it wishes, and until when it is answered."""
        self.caller = caller
        self.key, self.wishes, self.tags = caller.key, caller.wishes, caller.tags
        self.deadline = self.started + self.live.snapshot.timeouts.total_s
