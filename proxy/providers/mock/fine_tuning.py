"""Answers /v1/fine_tuning/jobs: jobs that wait in the queue until they are cancelled; free.

Added by routes.py.
"""

from aiohttp import web

from proxy.providers.mock.collection import listing, showing
from proxy.providers.mock.errors import MockError, missing
from proxy.providers.mock.exchange import Exchange, opened, read_metadata, read_text
from proxy.providers.mock.files import FILE
from proxy.providers.mock.shelf import Document, Stored, new_id, page_of
from proxy.providers.mock.validation import read_model

JOB = "fine_tuning_job"


def add_fine_tuning_routes(app: web.Application) -> None:
    router = app.router
    router.add_post("/v1/fine_tuning/jobs", create_job)
    router.add_get("/v1/fine_tuning/jobs", listing(JOB))
    router.add_get("/v1/fine_tuning/jobs/{id}", showing(JOB))
    router.add_post("/v1/fine_tuning/jobs/{id}/cancel", cancel_job)
    router.add_get("/v1/fine_tuning/jobs/{id}/events", list_events)


@opened
async def create_job(exchange: Exchange) -> web.StreamResponse:
    asked = exchange.document()
    model = read_model(asked)
    files = {name: read_text(asked, name) for name in ("training_file", "validation_file")}
    if files["training_file"] is None:
        raise missing("training_file")
    for file_id in files.values():
        if file_id is not None:
            exchange.shelf.get(exchange.place(FILE), file_id)
    now_s = exchange.shelf.now_s()
    document = {**_new_job(model, now_s), **files, "metadata": read_metadata(asked)}
    exchange.shelf.put(exchange.place(JOB), Stored(document))
    return exchange.json(document)


def _new_job(model: str, now_s: int) -> Document:
    return {
        "id": new_id("ftjob-"),
        "object": "fine_tuning.job",
        "created_at": now_s,
        "model": model,
        "status": "queued",
        "organization_id": "org-mock",
        "result_files": [],
        "hyperparameters": {"n_epochs": "auto"},
        "seed": 0,
        "error": None,
        "fine_tuned_model": None,
        "finished_at": None,
        "trained_tokens": None,
    }


@opened
async def cancel_job(exchange: Exchange) -> web.StreamResponse:
    job = exchange.shelf.get(exchange.place(JOB), exchange.id)
    if job.document["status"] != "queued":
        message = f"A job that is {job.document['status']} cannot be cancelled."
        raise MockError(message, code="invalid_job_status")
    job.document |= {"status": "cancelled", "finished_at": exchange.shelf.now_s()}
    return exchange.json(job.document)


@opened
async def list_events(exchange: Exchange) -> web.StreamResponse:
    job = exchange.shelf.get(exchange.place(JOB), exchange.id).document
    event = {
        "id": f"ftevent-{job['id'].removeprefix('ftjob-')}",
        "object": "fine_tuning.job.event",
        "created_at": job["created_at"],
        "level": "info",
        "message": f"Fine-tuning job is {job['status']}.",
        "type": "message",
    }
    return exchange.json(page_of([event], exchange.http.query))
