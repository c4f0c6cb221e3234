"""The mock's files, as openai-python sees them; one account per key."""

import asyncio

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from tests.proxy.providers.mock.server import MockServer

CONTENT = bytes(range(256)) * 40 + b"\r\n--boundary--\r\n"


async def test_life_of_a_file(mock: MockServer) -> None:
    files = mock.client.files
    made = await files.create(file=("data.bin", CONTENT), purpose="user_data")
    assert made.id.startswith("file-")
    assert (made.filename, made.bytes, made.purpose) == ("data.bin", len(CONTENT), "user_data")
    assert await files.retrieve(made.id) == made
    assert (await files.content(made.id)).content == CONTENT
    assert (await files.delete(made.id)).deleted
    with pytest.raises(NotFoundError):
        await files.content(made.id)
    assert await mock.get("/mock/bill") == []


async def test_list_is_paged_and_filtered(mock: MockServer) -> None:
    files = mock.client.files
    ids = []
    for number in range(5):
        purpose = "batch" if number == 2 else "user_data"
        made = await files.create(file=(f"{number}.txt", b"x"), purpose=purpose)  # type: ignore[arg-type]
        ids.append(made.id)
    assert [file.id async for file in files.list(limit=2)] == ids[::-1]
    assert [file.id async for file in files.list(limit=2, order="asc")] == ids
    assert [file.id async for file in files.list(purpose="batch")] == [ids[2]]


async def test_keys_are_accounts(mock: MockServer) -> None:
    made = await mock.client.files.create(file=("a.txt", b"x"), purpose="user_data")
    async with AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="sk-other", max_retries=0) as other:
        assert [file async for file in other.files.list()] == []
        for call in (other.files.retrieve, other.files.delete, other.files.content):
            with pytest.raises(NotFoundError):
                await call(made.id)
    async with AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="sk-test", max_retries=0) as same:
        assert (await same.files.retrieve(made.id)).id == made.id


async def test_faults_work_here_too(mock: MockServer) -> None:
    client = mock.client.with_options(default_headers={"x-mock-status": "503"})
    with pytest.raises(Exception, match="503"):
        await client.files.create(file=("a.txt", b"x"), purpose="user_data")
    assert [file async for file in mock.client.files.list()] == []
    headers = {"x-mock-fail-first": "1", "x-mock-key": "retry"}
    twice = mock.client.with_options(default_headers=headers, max_retries=1)
    assert [file async for file in twice.files.list()] == []
    calls = await mock.get("/mock/calls")
    assert calls["by_path"]["/v1/files"] == 4


async def test_form_is_checked(mock: MockServer) -> None:
    status, answer = await mock.post({}, "files")
    assert (status, answer["error"]["code"]) == (400, "invalid_multipart")
    with pytest.raises(BadRequestError, match="purpose"):
        await mock.client.files.create(file=("a.txt", b"x"), purpose="")  # type: ignore[arg-type]


async def test_many_at_once(mock: MockServer) -> None:
    create = mock.client.files.create
    made = await asyncio.gather(
        *(create(file=("a.txt", b"%d" % n), purpose="user_data") for n in range(30))
    )
    assert len({file.id for file in made}) == 30
