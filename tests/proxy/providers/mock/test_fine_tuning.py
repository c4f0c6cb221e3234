"""The mock's fine-tuning jobs, as openai-python sees them."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.proxy.providers.mock.server import MockServer


async def test_life_of_a_job(mock: MockServer) -> None:
    jobs = mock.client.fine_tuning.jobs
    file = await mock.client.files.create(file=("t.jsonl", b"{}"), purpose="fine-tune")
    job = await jobs.create(model="gpt-4o-mini", training_file=file.id, metadata={"a": "b"})
    assert (job.status, job.training_file, job.model) == ("queued", file.id, "gpt-4o-mini")
    assert await jobs.retrieve(job.id) == job
    assert [found.id async for found in jobs.list()] == [job.id]
    (event,) = [event async for event in jobs.list_events(job.id)]
    assert "queued" in event.message
    cancelled = await jobs.cancel(job.id)
    assert cancelled.status == "cancelled"
    assert cancelled.finished_at is not None
    with pytest.raises(BadRequestError, match="cancelled"):
        await jobs.cancel(job.id)


async def test_training_file_must_be_the_accounts(mock: MockServer) -> None:
    with pytest.raises(NotFoundError):
        await mock.client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file="file-x")
    status, answer = await mock.post({"model": "m"}, "fine_tuning/jobs")
    assert (status, answer["error"]["param"]) == (400, "training_file")
