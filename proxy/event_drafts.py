"""Fills usage events from what is known of a request. Called by recorder.py.

`draft_start` and `draft_end` say what is in an event. What many requests share is drafted once a
kind and kept with the snapshot as an EventForm; a request then adds only what is its own.
"""

from typing import Any

from config.clock import Clock
from ledger.events import AttemptEnd, AttemptStart, Outcome
from ledger.start_form import StartForm
from policies.snapshot import KeyRecord
from proxy.context import RequestContext
from proxy.live import Place

MOST_FORMS = 512
LARGEST_KEPT_FORM_BYTES = 4096  # a caller's text can make one large: that one is not kept


class EventForm:
    """START and END of one kind of attempt, filled but for what each request has of its own."""

    __slots__ = ("_end", "start")

    def __init__(self, start: AttemptStart, end: AttemptEnd) -> None:
        self.start = StartForm(start)
        self._end = vars(end)

    def open_end(self, ctx: RequestContext, wait_us: int) -> AttemptEnd:
        """Return the END of the attempt that begins, `wait_us` after the request came."""
        end = AttemptEnd.__new__(AttemptEnd)
        end.__dict__ = fields = self._end.copy()
        fields["request_id"] = ctx.request_id
        fields["attempt"] = ctx.attempts
        key = ctx.key or _key_of(ctx)
        fields["tenant"] = key.tenant
        fields["key_id"] = key.key_id
        fields["tags"] = ctx.tags
        fields["finish_reasons"] = []
        fields["unpriced_keys"] = []
        fields["units"] = {}
        fields["wait_us"] = wait_us
        return end

    def write_start(self, ctx: RequestContext, at_us: int) -> bytes:
        """Return the START of the attempt that begins at this unix time."""
        draws, body_bytes, key = ctx.draws, len(ctx.body), ctx.key or _key_of(ctx)
        return self.start.encode({
            "request_id": ctx.request_id,
            "attempt": ctx.attempts,
            "tenant": key.tenant,
            "key_id": key.key_id,
            "at_us": at_us,
            "holdout_draw": draws[0],
            "canary_draw": draws[1],
            "prompt_bytes": body_bytes,
            "body_bytes": body_bytes,
            "max_output_tokens": ctx.max_output_tokens,
            "request_key": ctx.request_key,
            "prefix_blocks": ctx.prefix_blocks,
            "session": ctx.session_hash,
            "user": ctx.user_hash,
            "tags": ctx.tags,
            "idempotency": ctx.body_digest,
            "deadline_s": max(0.0, ctx.deadline - ctx.started),
        })  # fmt: skip


def form_of(ctx: RequestContext, place: Place, model: str, cache: str, clock: Clock) -> EventForm:
    """Return the form of the attempt that begins; `cache` is how the cache took part in it."""
    wishes, forms = ctx.wishes, ctx.live.forms
    tier, tools = ctx.doc.get("service_tier", ""), ctx.doc.get("tools")
    # Everything a form is made of, beside the snapshot itself and the clock.
    kind: tuple[Any, ...] = (
        ctx.dialect.endpoint, ctx.model, ctx.live.whose_models(_key_of(ctx).tenant),
        place, model, cache,
        ctx.cache_reason, ctx.decision, ctx.salt_epoch, tier if type(tier) is str else "",
        bool(tools), ctx.is_streaming, ctx.choices_n, ctx.is_deterministic,
        ctx.session_source, wishes.is_no_optimize, wishes.cache_control, wishes.retry_count,
        wishes.latency_objective_ms, wishes.client_timeout_s,
    )  # fmt: skip
    form = forms.get(kind)
    if form is None:
        start, end = draft_start(ctx, place, model, clock), draft_end(ctx, place, model, clock)
        start.cache = end.cache = cache
        form = EventForm(start, end)
        if 0 < form.start.size_bytes <= LARGEST_KEPT_FORM_BYTES:
            if len(forms) >= MOST_FORMS:
                forms.clear()
            forms[kind] = form
    return form


def draft_start(ctx: RequestContext, place: Place, model: str, clock: Clock) -> AttemptStart:
    """Return START: who asks for what, and all that `decide` read and chose."""
    key, wishes, decision = _key_of(ctx), ctx.wishes, ctx.decision
    baseline, baseline_model = ctx.live.baseline_of(ctx.model, key.tenant)
    start = AttemptStart(
        request_id=ctx.request_id,
        attempt=ctx.attempts,
        tenant=key.tenant,
        key_id=key.key_id,
        at_us=clock.now_us(),
        endpoint=ctx.endpoint,
        requested_model=ctx.model,
        requested_tier=text_or_empty(ctx.doc.get("service_tier")),
        upstream=place.upstream,
        upstream_kind=place.kind,
        upstream_host=place.host,
        upstream_model=model,
        region=place.region,
        baseline_upstream=baseline.upstream,
        baseline_upstream_kind=baseline.kind,
        baseline_host=baseline.host,
        baseline_model=baseline_model,
        cache=ctx.cache,
        cache_reason=ctx.cache_reason,
        salt_epoch=ctx.salt_epoch,
        holdout_draw=ctx.draws.holdout,
        canary_draw=ctx.draws.canary,
        snapshot=ctx.live.snapshot.number,
        price_book=ctx.live.book.hash,
        is_simulated=place.is_simulated or clock.is_scaled,
        is_streaming=ctx.is_streaming,
        has_tools=bool(ctx.doc.get("tools")),
        prompt_bytes=len(ctx.body),
        body_bytes=len(ctx.body),
        max_output_tokens=ctx.max_output_tokens,
        choices_n=ctx.choices_n,
        is_deterministic=ctx.is_deterministic,
        is_no_optimize=wishes.is_no_optimize,
        cache_control=wishes.cache_control,
        latency_objective_ms=wishes.latency_objective_ms,
        request_key=ctx.request_key,
        prefix_blocks=ctx.prefix_blocks,
        session=ctx.session_hash,
        session_source=ctx.session_source,
        user=ctx.user_hash,
        tags=ctx.tags,
        retry_count=wishes.retry_count,
        idempotency=ctx.body_digest,
        client_timeout_s=wishes.client_timeout_s,
        deadline_s=max(0.0, ctx.deadline - ctx.started),
    )
    if decision is not None:
        start.arm, start.propensity = decision.arm, decision.propensity
        start.policy_revision, start.rule = decision.policy_revision, decision.rule
        start.reasons = list(decision.reasons)
        start.clamped_output_tokens = decision.clamp_output_tokens or 0
    return start


def draft_end(ctx: RequestContext, place: Place, model: str, clock: Clock) -> AttemptEnd:
    """Return END as it stands before anything is known: a failure of ours, usage unknown."""
    key, decision = _key_of(ctx), ctx.decision
    baseline, baseline_model = ctx.live.baseline_of(ctx.model, key.tenant)
    return AttemptEnd(
        request_id=ctx.request_id,
        attempt=ctx.attempts,
        tenant=key.tenant,
        key_id=key.key_id,
        at_us=0,
        endpoint=ctx.endpoint,
        requested_model=ctx.model,
        requested_tier=text_or_empty(ctx.doc.get("service_tier")),
        served_model=model,
        upstream=place.upstream,
        upstream_kind=place.kind,
        upstream_host=place.host,
        upstream_model=model,
        region=place.region,
        baseline_upstream=baseline.upstream,
        baseline_upstream_kind=baseline.kind,
        baseline_host=baseline.host,
        baseline_model=baseline_model,
        cache=ctx.cache,
        arm=decision.arm if decision else "",
        policy_revision=decision.policy_revision if decision else "",
        tags=ctx.tags,
        price_book=ctx.live.book.hash,
        is_simulated=place.is_simulated or clock.is_scaled,
        is_streaming=ctx.is_streaming,
        outcome=Outcome.internal_error,
        is_final=False,
        usage_source="unknown" if place.upstream else "none",
    )


def _key_of(ctx: RequestContext) -> KeyRecord:
    if ctx.key is None:
        raise RuntimeError("an event needs a tenant")
    return ctx.key


def text_or_empty(value: object) -> str:
    """Return what a document says where it is text, and nothing where it is not."""
    return value if isinstance(value, str) else ""
