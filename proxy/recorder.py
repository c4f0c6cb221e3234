"""Turns a request's life into usage events: one START and one END per attempt.

Called by pipeline.py, upstream.py and the replies. An attempt's END stays open until it is known
whether another attempt follows, because exactly one END of a request is final; whatever happens,
`finish` closes it before the last byte of the answer goes out.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from config.clock import Clock
from config.metrics import Metrics
from ledger.events import PROVIDER_USAGE_LIMIT_BYTES, AttemptEnd, Outcome
from ledger.rating import TokenBuckets
from ledger.sink import EventSink
from ledger.usage_dialects import buckets_from_usage, tier_from_usage
from ledger.usage_units import units_from_usage
from policies.snapshot import Target
from proxy.answers import StoredAnswer
from proxy.context import RequestContext
from proxy.event_drafts import draft_end, draft_start, text_or_empty
from proxy.live import NOWHERE, Place
from proxy.unmetered import UnmeteredSpool


class Recorder:
    """Writes the events of requests to the segment log."""

    def __init__(
        self,
        sink: EventSink,
        clock: Clock,
        metrics: Metrics,
        unmetered: UnmeteredSpool | None = None,
    ) -> None:
        self._sink = sink
        self._unmetered = unmetered
        self._clock = clock
        self._metrics = metrics

    def open(self, ctx: RequestContext, target: Target) -> AttemptEnd:
        """Write START of the next attempt (and END of the one before); raises LogWriteError."""
        self._close_previous(ctx)
        place = ctx.live.places[target.upstream]
        ctx.attempts += 1
        end = self._draft_end(ctx, place, target.model)
        self._sink.start(draft_start(ctx, place, target.model, self._clock))
        ctx.open_end = end
        return end

    def finish(self, ctx: RequestContext) -> None:
        """Write the final END of an attempted request; a second call does nothing."""
        if ctx.is_recorded or ctx.open_end is None:
            return
        ctx.is_recorded = True
        end = ctx.open_end
        end.is_final = True
        end.total_us = self._since_us(ctx.started)
        self._write_end(ctx, end)
        self._count(ctx, end)

    def serve_stored(self, ctx: RequestContext, answer: StoredAnswer) -> AttemptEnd:
        """Record an answer from the cache or from somebody else's flight; returns its END."""
        ctx.attempts += 1
        end = self._draft_end(ctx, answer.place, answer.upstream_model)
        end.outcome, end.client_status = Outcome.ok, 200
        end.served_model, end.served_tier = answer.served_model, answer.served_tier
        end.finish_reasons = answer.finish_reasons
        end.hit_of, end.response_bytes = answer.request_id, len(answer.body)
        if ctx.body_digest:
            # The same call again, by its Idempotency-Key: neither a cost nor a saving.
            end.usage_source, end.cache = "none", "bypass"
        elif answer.buckets is None:
            end.usage_source = "unknown"
        else:
            end.usage_source, end.provider_usage = "cache", answer.provider_usage
            put_buckets(end, answer.buckets)
        self._close_at_once(ctx, end, answer.place, answer.upstream_model)
        return end

    def refuse(self, ctx: RequestContext, outcome: Outcome, status: int, code: str) -> None:
        """Record a request that never went upstream; only known keys are recorded."""
        if ctx.is_recorded or ctx.key is None:
            return
        ctx.attempts += 1
        end = self._draft_end(ctx, NOWHERE, "")
        end.outcome, end.client_status, end.error_code = outcome, status, code
        self._close_at_once(ctx, end, NOWHERE, "")

    def _close_at_once(
        self, ctx: RequestContext, end: AttemptEnd, place: Place, model: str
    ) -> None:
        end.is_final = True
        end.total_us = self._since_us(ctx.started)
        ctx.is_recorded = True
        start = draft_start(ctx, place, model, self._clock)
        start.cache = end.cache  # a replay by Idempotency-Key is no hit in either
        self._sink.start_and_end(start, end)
        self._count(ctx, end)

    def _close_previous(self, ctx: RequestContext) -> None:
        if ctx.open_end is not None:
            ctx.open_end.total_us = self._since_us(ctx.started)
            self._write_end(ctx, ctx.open_end)
            ctx.open_end = None
            ctx.answer_sample.clear()

    def _write_end(self, ctx: RequestContext, end: AttemptEnd) -> None:
        """Write the END of an attempt that reached an upstream, and what an estimate needs."""
        self._sink.end(end)
        self._metrics.count("apex_attempts_total", (end.upstream, str(end.outcome)))
        if end.usage_source == "unknown" and self._unmetered is not None:
            self._unmetered.keep(ctx, end)

    def _count(self, ctx: RequestContext, end: AttemptEnd) -> None:
        outcome = str(end.outcome)
        self._metrics.count("apex_requests_total", (ctx.endpoint, outcome, end.cache))
        if end.is_streaming:
            self._metrics.count("apex_stream_bytes_total", (), end.response_bytes)
        self._metrics.observe("apex_request_seconds", end.total_us / 1e6, (ctx.endpoint,))
        if end.first_byte_us:
            self._metrics.observe("apex_first_byte_seconds", end.first_byte_us / 1e6,
                                  (ctx.endpoint,))  # fmt: skip

    def _since_us(self, started: float) -> int:
        return int((self._clock.monotonic() - started) * 1e6)

    def _draft_end(self, ctx: RequestContext, place: Place, model: str) -> AttemptEnd:
        end = draft_end(ctx, place, model, self._clock)
        end.requested_tier = text_or_empty(ctx.doc.get("service_tier"))
        end.wait_us = self._since_us(ctx.started)
        return end

    def since_us(self, ctx: RequestContext) -> int:
        """Microseconds since the request arrived."""
        return self._since_us(ctx.started)


def put_usage(end: AttemptEnd, usage: Mapping[str, Any] | None, metrics: Metrics) -> None:
    """Note the provider's usage on an END; malformed or missing usage stays unknown, never zero."""
    if usage is None:
        return
    try:
        raw = orjson.dumps(usage)
    except orjson.JSONEncodeError:  # nested beyond what can be written: nobody's usage
        return
    end.provider_usage = raw[:PROVIDER_USAGE_LIMIT_BYTES].decode(errors="replace")
    try:
        buckets, unpriced = buckets_from_usage(usage)
        units = units_from_usage(usage)
    except ValueError:
        return
    put_buckets(end, buckets)
    end.units = {**end.units, **units}
    end.served_tier = end.served_tier or tier_from_usage(usage)
    end.usage_source = "provider"
    if unpriced:
        end.unpriced_keys = unpriced
        metrics.count("apex_unpriced_usage_keys_total", (), len(unpriced))


def put_units(end: AttemptEnd, units: Mapping[str, int]) -> None:
    """Note what was used where it is counted in other things than tokens."""
    if units:
        end.units = dict(units)
        end.usage_source = "provider"


def put_buckets(end: AttemptEnd, buckets: TokenBuckets) -> None:
    """Copy the token buckets onto an END."""
    end.input_tokens = buckets.input_tokens
    end.cache_read_tokens = buckets.cache_read_tokens
    end.cache_write_5m_tokens = buckets.cache_write_5m_tokens
    end.cache_write_1h_tokens = buckets.cache_write_1h_tokens
    end.audio_input_tokens = buckets.audio_input_tokens
    end.image_input_tokens = buckets.image_input_tokens
    end.output_tokens = buckets.output_tokens
    end.reasoning_tokens = buckets.reasoning_tokens
    end.audio_output_tokens = buckets.audio_output_tokens
    end.image_output_tokens = buckets.image_output_tokens


def buckets_of(end: AttemptEnd) -> TokenBuckets | None:
    """Return the buckets an END carries; None when its usage is unknown."""
    if end.usage_source not in {"provider", "cache"}:
        return None
    return TokenBuckets(
        input_tokens=end.input_tokens,
        cache_read_tokens=end.cache_read_tokens,
        cache_write_5m_tokens=end.cache_write_5m_tokens,
        cache_write_1h_tokens=end.cache_write_1h_tokens,
        audio_input_tokens=end.audio_input_tokens,
        image_input_tokens=end.image_input_tokens,
        output_tokens=end.output_tokens,
        reasoning_tokens=end.reasoning_tokens,
        audio_output_tokens=end.audio_output_tokens,
        image_output_tokens=end.image_output_tokens,
    )
