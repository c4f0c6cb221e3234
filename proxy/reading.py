"""From a body to what is to be done with it: parse, references, session, decision, cache key.

Called by pipeline.py. All of it follows from the caller, the body, the snapshot and the month, so
a request that came before, byte for byte, is not worked out again: that is the first level of the
exact cache, whose key is the bytes themselves and therefore cannot collide.
"""

import hashlib
import hmac
from typing import Any

from config.clock import Clock
from optimizer.caching import DocumentTooDeepError, request_digest, scope_parts
from optimizer.decide import RequestFacts, decide, decide_by_arm
from optimizer.dialects import subjects_in
from optimizer.session import opening_of, session_of, subject_hash
from policies.model import Policy
from policies.snapshot import KeyRecord
from proxy.callers import ByArm, Caller
from proxy.context import RequestContext
from proxy.dialects.dialect import Dialect
from proxy.errors import InvalidRequestError
from proxy.intake import parse_body
from proxy.live import SnapshotHolder
from proxy.models import unknown_model
from proxy.resources.ownership import OwnershipMap
from proxy.resources.references import check_references, may_refer
from proxy.scopes import check_model
from storage.memory_cache import ByteBoundedCache

MOST_KNOWN_BYTES = 8_388_608
LARGEST_KNOWN_BODY_BYTES = 131_072
KNOWN_OVERHEAD_BYTES = 4096  # the parsed document, with room
KNOWN_FOR_S = 3600.0
NO_PATH = ("", False)  # a path that says neither model nor streaming
Known = dict[str, Any]
# What `read` writes down on a context, and what is known therefore has to give back.
FOUND = (
    "body", "doc", "model", "is_streaming", "asked_usage", "max_output_tokens", "choices_n",
    "allows_store", "is_deterministic", "session_hash", "session_source", "user_hash",
    "salt_epoch", "draws", "decision", "targets", "request_key", "prefix_blocks",
)  # fmt: skip


class RequestReader:
    """Reads the requests of one proxy process."""

    def __init__(self, holder: SnapshotHolder, ownership: OwnershipMap, clock: Clock) -> None:
        self._holder = holder
        self._ownership = ownership
        self._known = ByteBoundedCache(MOST_KNOWN_BYTES, clock)

    def read(self, ctx: RequestContext, body: bytes) -> None:
        """Fill in everything up to the cache key; raises GatewayError."""
        parse_body(ctx, body)
        if ctx.key is None:
            raise RuntimeError("a decision needs a tenant")
        if may_refer(ctx.endpoint, ctx.doc, body):
            ctx.pinned = check_references(ctx.doc, ctx.key.tenant, self._ownership)
        self._decide(ctx, ctx.key)

    def find_known(self, caller: Caller, dialect: Dialect, body: bytes) -> Known | None:
        """Return what was found out when this caller sent these bytes before, by FOUND's names."""
        known: Known | None = self._known.get((caller, dialect.endpoint, NO_PATH, body))
        if known is None or known["salt_epoch"] != self._holder.epoch:
            return None
        return known

    def remember(self, ctx: RequestContext) -> None:
        """Keep what was found out: its answer is in the cache, so the request may come again."""
        if ctx.pinned is not None or ctx.body_digest or len(ctx.body) > LARGEST_KNOWN_BODY_BYTES:
            return
        known = {name: ctx.__dict__[name] for name in FOUND if name in ctx.__dict__}
        name = (ctx.caller, ctx.endpoint, ctx.path_says, ctx.body)
        self._known.set(name, known, len(ctx.body) * 2 + KNOWN_OVERHEAD_BYTES, KNOWN_FOR_S)

    def _decide(self, ctx: RequestContext, key: KeyRecord) -> None:
        """Let the policy choose models and cache; fill in what the event must carry."""
        live, endpoint = ctx.live, ctx.endpoint
        models = live.models_of(key.tenant)
        if key.models:
            check_model(key, endpoint, ctx.model)
        if ctx.model not in models:
            raise unknown_model(ctx.model, models)
        user, identifier = subjects_in(ctx.doc, endpoint)
        active, candidate = live.policies_of(key.tenant)
        keys = live.tenant_keys(key.tenant)
        session = self._find_session(ctx, keys.subject_key, user or identifier)
        ctx.salt_epoch = epoch = self._holder.epoch
        has_candidate = candidate is not None
        ctx.draws = live.draw(epoch, key.tenant, session, has_candidate=has_candidate)
        by_arm = _kept_decisions(ctx, key, active) if candidate is None else None
        if by_arm is not None:
            decision = by_arm[ctx.draws.holdout < active.holdout_share]
        else:
            decision = decide(_facts(ctx, key), active, candidate, ctx.draws, models)
        ctx.decision = decision
        ctx.targets = live.targets_of(decision.models, key.tenant)
        if ctx.pinned is not None:
            _keep_to(ctx, ctx.pinned.upstream)
        scope = scope_parts(decision.cache.scope, key.tenant, key.key_id, f"{user}\0{identifier}")
        _digest(ctx, keys.cache_key, decision.models[0], scope)
        if ctx.wishes.idempotency_key:
            _name_by_idempotency_key(ctx, key.key_id, keys.cache_key)

    def _find_session(self, ctx: RequestContext, subject_key: bytes, user: str) -> str:
        """Return the session itself; the context gets what may leave the request: its hash."""
        asked = ctx.wishes.session
        opening = b"" if asked or user else opening_of(ctx.doc, ctx.endpoint)
        session, ctx.session_source = session_of(asked, user, opening)
        ctx.session_hash = subject_hash(subject_key, session)
        if user:
            ctx.user_hash = subject_hash(subject_key, user)
        return session


def _kept_decisions(ctx: RequestContext, key: KeyRecord, active: Policy) -> ByArm | None:
    """What was decided for the caller's requests of this kind; None: each must be decided."""
    if ctx.caller is None or ctx.pinned is not None:
        return None
    decisions = ctx.caller.decisions
    kind = (
        ctx.endpoint, ctx.model, ctx.is_streaming, "tools" in ctx.doc and bool(ctx.doc["tools"]),
        ctx.is_deterministic, ctx.allows_store,
    )  # fmt: skip
    if kind not in decisions:
        by_arm = decide_by_arm(_facts(ctx, key), active, ctx.live.models_of(key.tenant))
        decisions[kind] = by_arm  # bounded by the models there are
    return decisions[kind]


def _facts(ctx: RequestContext, key: KeyRecord) -> RequestFacts:
    wishes = ctx.wishes
    return RequestFacts(
        ctx.endpoint,
        ctx.model,
        key.name,
        ctx.tags,
        len(ctx.body),
        ctx.is_streaming,
        bool(ctx.doc.get("tools")),
        wishes.latency_objective_ms,
        ctx.max_output_tokens,
        ctx.is_deterministic,
        wishes.is_no_optimize,
        ctx.allows_store,
        ctx.choices_n,
        wishes.cache_control,
        ctx.pinned is not None,
    )


def _keep_to(ctx: RequestContext, upstream: str) -> None:
    """Leave only the targets where the objects live that the request refers to."""
    here = tuple(target for target in ctx.targets if target.upstream == upstream)
    if not here:
        raise InvalidRequestError(
            f"The objects referred to live at another upstream than {ctx.model}.",
            "Use the model they were made with.",
            param="model",
        )
    ctx.targets = here


def _digest(ctx: RequestContext, cache_key: bytes, model: str, scope: tuple[str, ...]) -> None:
    """Compute the request's key and the digests of its prompt's prefixes."""
    first = ctx.targets[0]
    origin = f"{model}\0{first.upstream}\0{first.model}"
    try:
        ctx.request_key, ctx.prefix_blocks = request_digest(
            ctx.doc, ctx.endpoint, origin, cache_key, scope, is_streaming=ctx.is_streaming
        )
    except DocumentTooDeepError as error:
        raise InvalidRequestError(
            "The body is nested too deeply.", "Flatten it to at most 254 levels."
        ) from error


def _name_by_idempotency_key(ctx: RequestContext, key_id: str, cache_key: bytes) -> None:
    """An Idempotency-Key names the answer, and the body's digest says what it was asked for."""
    if "no-store" in ctx.wishes.cache_control.lower():
        return
    ctx.body_digest = hashlib.sha256(ctx.body).hexdigest()[:32]
    name = f"idempotency/{key_id}/{ctx.endpoint}/{ctx.wishes.idempotency_key}"
    ctx.request_key = hmac.digest(cache_key, name.encode(), "sha256").hex()[:32]
