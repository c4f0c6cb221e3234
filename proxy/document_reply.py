"""Answers that are one JSON document: relayed byte for byte, or a stored answer in that form.

Called by pipeline.py. END is in the log before the response object exists.
"""

from aiohttp import web

from config.clock import Clock
from ledger.events import Outcome
from proxy.answer_reading import UpstreamAnswer
from proxy.answers import StoredAnswer
from proxy.context import RequestContext
from proxy.ready_response import Asked, document_response
from proxy.receipts import cost_headers
from proxy.recorder import Recorder, buckets_of
from proxy.reply_headers import answer_headers
from proxy.streaming.replay import as_document
from proxy.wire_headers import header_text

LARGEST_PRICED_BYTES = 1_048_576


def reply_document(
    ctx: RequestContext, request: Asked, answer: UpstreamAnswer, recorder: Recorder
) -> web.StreamResponse:
    """Record the answer and build the reply."""
    end = answer.end
    end.outcome, end.client_status = Outcome.ok, answer.status
    recorder.finish(ctx)
    headers = answer_headers(ctx, answer.headers)
    if len(answer.body) <= LARGEST_PRICED_BYTES:
        headers.update(cost_headers(ctx, end))
    return document_response(request, answer.status, headers, answer.body)


def reply_stored_document(
    ctx: RequestContext, request: Asked, answer: StoredAnswer, recorder: Recorder
) -> web.StreamResponse:
    """Build the reply of a hit for a caller who wants a document."""
    body = as_document(answer)
    end = recorder.serve_stored(ctx, answer)
    headers = {**answer_headers(ctx, {}), "x-apex-model": header_text(answer.served_model)}
    headers.update(cost_headers(ctx, end))
    return document_response(request, 200, headers, body)


def stored_document(ctx: RequestContext, answer: UpstreamAnswer, clock: Clock) -> StoredAnswer:
    """Keep a document for the cache and for followers."""
    end = answer.end
    return StoredAnswer(
        form="json",
        body=answer.body,
        request_id=ctx.request_id,
        place=ctx.live.places[end.upstream],
        upstream_model=end.upstream_model,
        served_model=end.served_model,
        served_tier=end.served_tier,
        finish_reasons=end.finish_reasons,
        buckets=buckets_of(end),
        provider_usage=end.provider_usage,
        stored_at=clock.monotonic(),
        body_digest=ctx.body_digest,
    )
