"""Answers /v1/batches: a file of requests, answered when the batch is asked for again.

The second GET completes a batch: one line of output a request, `usage` on the batch, and one line
on the bill, at the batch tier, under the id of that GET. Added by routes.py.
"""

import asyncio

from aiohttp import web

from proxy.providers.mock.batch_lines import (
    ENDPOINTS,
    BatchOutcome,
    answer_lines,
    read_lines,
)
from proxy.providers.mock.buckets import Charge
from proxy.providers.mock.collection import listing
from proxy.providers.mock.errors import MockError, missing, wrong_value
from proxy.providers.mock.exchange import Exchange, opened, read_metadata
from proxy.providers.mock.files import FILE, keep_file
from proxy.providers.mock.shelf import Document, Stored, new_id

BATCH = "batch"
WINDOW = "24h"
_DAY_S = 86_400


def add_batch_routes(app: web.Application) -> None:
    app.router.add_post("/v1/batches", create_batch)
    app.router.add_get("/v1/batches", listing(BATCH))
    app.router.add_get("/v1/batches/{id}", show_batch)
    app.router.add_post("/v1/batches/{id}/cancel", cancel_batch)


@opened
async def create_batch(exchange: Exchange) -> web.StreamResponse:
    asked = exchange.document()
    for name in ("input_file_id", "endpoint", "completion_window"):
        if not isinstance(asked.get(name), str):
            raise missing(name)
    endpoint = asked["endpoint"].removeprefix("/openai")
    if endpoint not in ENDPOINTS:
        raise wrong_value("endpoint", f"expected one of {', '.join(sorted(ENDPOINTS))}.")
    if asked["completion_window"] != WINDOW:
        raise wrong_value("completion_window", f"expected '{WINDOW}'.")
    exchange.shelf.get(exchange.place(FILE), asked["input_file_id"])
    document = _new_batch(asked, endpoint, exchange.shelf.now_s(), read_metadata(asked))
    exchange.shelf.put(exchange.place(BATCH), Stored(document, notes={"polls": 0}))
    return exchange.json(document)


def _new_batch(asked: Document, endpoint: str, now_s: int, metadata: Document) -> Document:
    times = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling")
    return {
        "id": new_id("batch_", 32),
        "object": "batch",
        "endpoint": endpoint,
        "errors": None,
        "input_file_id": asked["input_file_id"],
        "completion_window": WINDOW,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now_s,
        "expires_at": now_s + _DAY_S,
        **{f"{time}_at": None for time in times},
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": metadata or None,
    }


@opened
async def show_batch(exchange: Exchange) -> web.StreamResponse:
    batch = exchange.shelf.get(exchange.place(BATCH), exchange.id)
    batch.notes["polls"] += 1
    if batch.document["status"] == "validating":
        _start(exchange, batch)
    elif batch.document["status"] == "in_progress" and batch.notes["polls"] >= 2:
        await _complete(exchange, batch)
    elif batch.document["status"] == "cancelling":
        batch.document |= {"status": "cancelled", "cancelled_at": exchange.shelf.now_s()}
    return exchange.json(batch.document)


@opened
async def cancel_batch(exchange: Exchange) -> web.StreamResponse:
    batch = exchange.shelf.get(exchange.place(BATCH), exchange.id)
    if batch.document["status"] not in {"validating", "in_progress"}:
        message = f"A batch that is {batch.document['status']} cannot be cancelled."
        raise MockError(message, status=409, code="invalid_batch_status")
    batch.document |= {"status": "cancelling", "cancelling_at": exchange.shelf.now_s()}
    return exchange.json(batch.document)


def _start(exchange: Exchange, batch: Stored) -> None:
    """Check the input as the real API does between creation and work."""
    now_s = exchange.shelf.now_s()
    try:
        file = exchange.shelf.get(exchange.place(FILE), batch.document["input_file_id"])
        lines = read_lines(file.content, batch.document["endpoint"])
    except MockError as error:
        failure = {"code": error.fields["code"], "message": str(error), "line": None, "param": None}
        errors = {"object": "list", "data": [failure]}
        batch.document |= {"status": "failed", "failed_at": now_s, "errors": errors}
        return
    batch.notes["lines"] = lines
    batch.document |= {"status": "in_progress", "in_progress_at": now_s}
    batch.document["request_counts"] = {"total": len(lines), "completed": 0, "failed": 0}


async def _complete(exchange: Exchange, batch: Stored) -> None:
    """Answer every request on a thread; whoever asks meanwhile is told it is being finalized."""
    batch.document |= {"status": "finalizing", "finalizing_at": exchange.shelf.now_s()}
    try:
        outcome = await asyncio.to_thread(
            answer_lines, batch.notes["lines"], batch.document["endpoint"]
        )
    except BaseException:
        batch.document |= {"status": "in_progress", "finalizing_at": None}
        raise
    del batch.notes["lines"]
    batch.document |= {
        "status": "completed",
        "completed_at": exchange.shelf.now_s(),
        "request_counts": outcome.counts(),
        "model": outcome.model,
        "usage": _usage_document(outcome),
    }
    for name, content in (("output", outcome.output), ("error", outcome.errors)):
        if content:
            file = keep_file(exchange, f"{batch.id}_{name}.jsonl", "batch_output", content)
            batch.document[f"{name}_file_id"] = file.id
    if outcome.completed:
        charge = Charge(outcome.model, outcome.buckets, tier="batch", batch_id=batch.id)
        exchange.call.charge_for(charge, is_complete=exchange.plan.garbage != "broken-json")


def _usage_document(outcome: BatchOutcome) -> Document:
    buckets = outcome.buckets
    return {
        "input_tokens": buckets.prompt_tokens(),
        "input_tokens_details": {"cached_tokens": buckets.cache_read_tokens},
        "output_tokens": buckets.completion_tokens(),
        "output_tokens_details": {"reasoning_tokens": buckets.reasoning_tokens},
        "total_tokens": buckets.prompt_tokens() + buckets.completion_tokens(),
    }
