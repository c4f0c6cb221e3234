"""What `decide` reads and what it answers: plain immutable values, re-exported by optimizer.decide.

Named tuples, because several are made per request: 0.4 us each where a frozen dataclass takes 2.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

Arm = Literal["treated", "holdout", "canary", "none"]


class RequestFacts(NamedTuple):
    """Everything about a request that a policy may look at. The usage event carries all of it."""

    endpoint: str
    model: str
    key_name: str
    tags: dict[str, str]
    prompt_bytes: int
    is_streaming: bool
    has_tools: bool
    latency_objective_ms: int  # 0: none declared
    max_output_tokens: int  # 0: none declared
    is_deterministic: bool
    is_no_optimize: bool
    allows_store: bool  # false when the caller asks the provider to keep the answer (store: true)
    n: int
    cache_control: str  # request header as it came: "", "no-cache", "no-store", "max-age=N"
    is_pinned: bool = False  # it refers to objects that one upstream keeps: it can go nowhere else


class Draws(NamedTuple):
    """Unit draws in [0, 1), made from two different salts so that the arms are independent."""

    holdout: float
    canary: float


class CachePlan(NamedTuple):
    """What the exact cache may do for this request; `reason` is one word for the usage event."""

    reads: bool
    writes: bool
    joins_flights: bool
    ttl_s: int
    scope: str
    max_age_s: int | None  # oldest answer the caller accepts
    reason: str


class Decision(NamedTuple):
    """What to do with a request, and why."""

    arm: Arm
    propensity: float  # probability of this arm before the draws were known
    policy_revision: str
    rule: str  # "" when none matched
    models: tuple[str, ...]  # public names in the order to try them, never empty
    cache: CachePlan
    clamp_output_tokens: int | None
    reasons: tuple[str, ...]


@lru_cache(maxsize=64)
def bypass_plan(reason: str) -> CachePlan:
    """A plan that leaves cache and flights alone; one for each of the few reasons there are."""
    return CachePlan(
        reads=False,
        writes=False,
        joins_flights=False,
        ttl_s=0,
        scope="user",
        max_age_s=None,
        reason=reason,
    )
