"""Fills usage events from what is known of a request. Called by recorder.py."""

from config.clock import Clock
from ledger.events import AttemptEnd, AttemptStart, Outcome
from policies.snapshot import KeyRecord
from proxy.context import RequestContext
from proxy.live import Place


def draft_start(ctx: RequestContext, place: Place, model: str, clock: Clock) -> AttemptStart:
    """Return START: who asks for what, and all that `decide` read and chose."""
    key, wishes, decision = _key_of(ctx), ctx.wishes, ctx.decision
    baseline, baseline_model = ctx.live.baseline_of(ctx.model)
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
    baseline, baseline_model = ctx.live.baseline_of(ctx.model)
    return AttemptEnd(
        request_id=ctx.request_id,
        attempt=ctx.attempts,
        tenant=key.tenant,
        key_id=key.key_id,
        at_us=0,
        endpoint=ctx.endpoint,
        requested_model=ctx.model,
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
