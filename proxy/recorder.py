"""Turns a request's life into usage events: one START and one END per attempt.

Called by pipeline.py, upstream.py and the replies. An attempt's END stays open until it is known
whether another attempt follows, because exactly one END of a request is final; whatever happens,
`finish` closes it before the last byte of the answer goes out.
"""

from config.clock import Clock
from config.metrics import Metrics
from ledger.events import AttemptEnd, Outcome
from ledger.sink import EventSink
from policies.snapshot import Target
from proxy.answers import StoredAnswer
from proxy.context import RequestContext
from proxy.end_usage import buckets_of, put_buckets, put_units, put_usage
from proxy.event_drafts import EventForm, form_of
from proxy.live import NOWHERE
from proxy.request_tally import RequestTally
from proxy.unmetered import UnmeteredSpool

__all__ = ["Recorder", "buckets_of", "put_buckets", "put_units", "put_usage"]


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
        self._monotonic = clock.monotonic
        self._tally = RequestTally(metrics)

    def open(self, ctx: RequestContext, target: Target) -> AttemptEnd:
        """Write START of the next attempt (and END of the one before); raises LogWriteError."""
        if ctx.open_end is not None:
            self._close_previous(ctx, ctx.open_end)
        ctx.attempts += 1
        place = ctx.live.places[target.upstream]
        form = form_of(ctx, place, target.model, ctx.cache, self._clock)
        end = form.open_end(ctx, int((self._monotonic() - ctx.started) * 1e6))
        self._sink.start(form.write_start(ctx, self._clock.now_us()))
        ctx.open_end = end
        return end

    def finish(self, ctx: RequestContext) -> None:
        """Write the final END of an attempted request; a second call does nothing."""
        end = ctx.open_end
        if ctx.is_recorded or end is None:
            return
        ctx.is_recorded = True
        end.is_final = True
        end.total_us = int((self._monotonic() - ctx.started) * 1e6)
        self._write_end(ctx, end)
        self._tally.count_request(ctx.endpoint, end)

    def serve_stored(self, ctx: RequestContext, answer: StoredAnswer) -> AttemptEnd:
        """Record an answer from the cache or from somebody else's flight; returns its END."""
        ctx.attempts += 1
        # The same call again, by its Idempotency-Key, is neither a hit nor a cost nor a saving.
        cache = "bypass" if ctx.body_digest else ctx.cache
        form = form_of(ctx, answer.place, answer.upstream_model, cache, self._clock)
        end = form.open_end(ctx, self.since_us(ctx))
        end.outcome, end.client_status = Outcome.ok, 200
        end.served_model, end.served_tier = answer.served_model, answer.served_tier
        end.finish_reasons = answer.finish_reasons
        end.hit_of, end.response_bytes = answer.request_id, len(answer.body)
        if ctx.body_digest:
            end.usage_source = "none"
        elif answer.buckets is None:
            end.usage_source = "unknown"
        else:
            end.usage_source, end.provider_usage = "cache", answer.provider_usage
            put_buckets(end, answer.buckets)
        self._close_at_once(ctx, form, end)
        return end

    def refuse(self, ctx: RequestContext, outcome: Outcome, status: int, code: str) -> None:
        """Record a request that never went upstream; only known keys are recorded."""
        if ctx.is_recorded or ctx.key is None:
            return
        ctx.attempts += 1
        form = form_of(ctx, NOWHERE, "", ctx.cache, self._clock)
        end = form.open_end(ctx, self.since_us(ctx))
        end.outcome, end.client_status, end.error_code = outcome, status, code
        self._close_at_once(ctx, form, end)

    def since_us(self, ctx: RequestContext) -> int:
        """Microseconds since the request arrived."""
        return int((self._monotonic() - ctx.started) * 1e6)

    def _close_at_once(self, ctx: RequestContext, form: EventForm, end: AttemptEnd) -> None:
        end.is_final = True
        end.total_us = self.since_us(ctx)
        ctx.is_recorded = True
        self._sink.start_and_end(form.write_start(ctx, self._clock.now_us()), end)
        self._tally.count_request(ctx.endpoint, end)

    def _close_previous(self, ctx: RequestContext, end: AttemptEnd) -> None:
        end.total_us = self.since_us(ctx)
        self._write_end(ctx, end)
        ctx.open_end = None
        ctx.answer_sample.clear()

    def _write_end(self, ctx: RequestContext, end: AttemptEnd) -> None:
        """Write the END of an attempt that reached an upstream, and what an estimate needs."""
        self._sink.end(end)
        if ctx.hold is not None:
            ctx.hold.ends.append(end)
        self._tally.count_attempt(end)
        if end.usage_source == "unknown" and self._unmetered is not None:
            self._unmetered.keep(ctx, end)
