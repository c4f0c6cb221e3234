"""The mock's batches, as openai-python sees them, and what they cost."""

from typing import Any, Literal

import orjson
import pytest
from openai import BadRequestError, ConflictError, NotFoundError
from openai.types import Batch

from tests.proxy.providers.mock.server import BODY, MockServer

CHAT: Literal["/v1/chat/completions"] = "/v1/chat/completions"


async def started(mock: MockServer, lines: list[dict[str, Any]], endpoint: str = CHAT) -> Batch:
    content = b"\n".join(orjson.dumps(line) for line in lines)
    file = await mock.client.files.create(file=("in.jsonl", content), purpose="batch")
    return await mock.client.batches.create(
        input_file_id=file.id,
        endpoint=endpoint,  # type: ignore[arg-type]
        completion_window="24h",
        metadata={"night": "1"},
    )


def line(custom_id: str, body: dict[str, Any], url: str = CHAT) -> dict[str, Any]:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


async def test_second_look_finds_it_done(mock: MockServer) -> None:
    batch = await started(mock, [line("a", BODY), line("b", {**BODY, "seed": 2})])
    assert batch.status == "validating"
    first = await mock.client.batches.retrieve(batch.id)
    assert (first.status, first.output_file_id) == ("in_progress", None)
    done = await mock.client.batches.retrieve(batch.id)
    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.completed == 2
    rows = (await mock.client.files.content(done.output_file_id or "")).text.splitlines()
    answers = {row["custom_id"]: row["response"]["body"] for row in map(orjson.loads, rows)}
    twin = await mock.client.chat.completions.create(**BODY)
    assert answers["a"]["choices"][0]["message"]["content"] == twin.choices[0].message.content
    used = [answer["usage"] for answer in answers.values()]
    assert done.usage is not None
    assert done.usage.input_tokens == sum(usage["prompt_tokens"] for usage in used)
    assert done.usage.output_tokens == sum(usage["completion_tokens"] for usage in used)


async def test_it_is_billed_once_at_half_price(mock: MockServer) -> None:
    batch = await started(mock, [line("a", BODY)])
    await mock.client.batches.retrieve(batch.id)
    second = mock.client.with_options(default_headers={"x-client-request-id": "look-2"})
    for _ in range(3):
        done = await second.batches.retrieve(batch.id)
    (billed,) = await mock.get("/mock/bill")
    assert (billed["id"], billed["tier"], billed["batch"]) == ("look-2", "batch", batch.id)
    assert done.usage is not None
    cost = done.usage.input_tokens * 1_250_000 + done.usage.output_tokens * 5_000_000
    assert billed["cost_picousd"] == cost  # gpt-4o in a batch: $1.25 and $5 per million


async def test_refused_requests_are_free_and_in_the_error_file(mock: MockServer) -> None:
    batch = await started(mock, [line("a", BODY), line("b", {**BODY, "n": 0})])
    for _ in range(2):
        done = await mock.client.batches.retrieve(batch.id)
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (1, 1)
    (row,) = (await mock.client.files.content(done.error_file_id or "")).text.splitlines()
    assert orjson.loads(row)["response"]["status_code"] == 400


async def test_embeddings(mock: MockServer) -> None:
    body = {"model": "text-embedding-3-small", "input": "heron", "dimensions": 8}
    batch = await started(mock, [line("a", body, "/v1/embeddings")], "/v1/embeddings")
    for _ in range(2):
        done = await mock.client.batches.retrieve(batch.id)
    (row,) = (await mock.client.files.content(done.output_file_id or "")).text.splitlines()
    vector = orjson.loads(row)["response"]["body"]["data"][0]["embedding"]
    assert len(vector) == 8
    assert done.usage is not None
    assert (done.usage.input_tokens, done.usage.output_tokens) == (2, 0)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([line("a", BODY), line("a", BODY)], "duplicate_custom_id"),
        ([line("a", BODY), line("b", {**BODY, "model": "gpt-4.1"})], "mismatched_model"),
        ([line("a", BODY, "/v1/embeddings")], "mismatched_url"),
        ([], "empty_file"),
        ([{"custom_id": "a"}], "missing_required_parameter"),
    ],
)
async def test_bad_input_fails_the_batch(
    mock: MockServer, lines: list[dict[str, Any]], code: str
) -> None:
    batch = await started(mock, lines)
    for _ in range(2):
        failed = await mock.client.batches.retrieve(batch.id)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert failed.errors.data[0].code == code
    assert await mock.get("/mock/bill") == []


async def test_cancel_and_list(mock: MockServer) -> None:
    batch = await started(mock, [line("a", BODY)])
    other = await started(mock, [line("a", BODY)])
    assert (await mock.client.batches.cancel(batch.id)).status == "cancelling"
    assert (await mock.client.batches.retrieve(batch.id)).status == "cancelled"
    with pytest.raises(ConflictError):
        await mock.client.batches.cancel(batch.id)
    assert [found.id async for found in mock.client.batches.list(limit=1)] == [other.id, batch.id]


async def test_only_own_files_and_known_endpoints(mock: MockServer) -> None:
    create = mock.client.batches.create
    with pytest.raises(NotFoundError):
        await create(input_file_id="file-x", endpoint=CHAT, completion_window="24h")
    with pytest.raises(BadRequestError, match="endpoint"):
        await create(
            input_file_id="file-x",
            endpoint="/v1/nothing",  # type: ignore[arg-type]
            completion_window="24h",
        )
