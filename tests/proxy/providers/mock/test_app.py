"""Routes, keys and counters of the mock provider."""

import asyncio
import time

import pytest
from openai import AsyncOpenAI, AuthenticationError, NotFoundError

from tests.proxy.providers.mock.server import BODY, MockServer


async def test_models(mock: MockServer) -> None:
    page = await mock.client.models.list()
    assert "gpt-4o-mini" in [model.id for model in page.data]
    assert (await mock.client.models.retrieve("gpt-4o")).owned_by == "mock"
    with pytest.raises(NotFoundError) as caught:
        await mock.client.models.retrieve("house/of-models")
    assert caught.value.code == "model_not_found"


async def test_key_is_needed(mock: MockServer) -> None:
    refused = AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="sk-invalid-key", max_retries=0)
    async with refused:
        with pytest.raises(AuthenticationError) as caught:
            await refused.chat.completions.create(**BODY)
    assert caught.value.code == "invalid_api_key"
    url = f"{mock.url}/v1/models"
    async with mock.http.get(url, headers={"Authorization": "Basic eDp5"}) as reply:
        assert reply.status == 401
        assert (await reply.json())["error"]["code"] == "missing_api_key"


async def test_unknown_route_and_method(mock: MockServer) -> None:
    status, answer = await mock.post(BODY, "no-such-thing")
    assert (status, answer["error"]["code"]) == (404, "unknown_url")
    async with mock.http.get(f"{mock.url}/v1/embeddings") as reply:
        assert reply.status == 405
        assert "error" in await reply.json()


async def test_calls_are_counted(mock: MockServer) -> None:
    await mock.post(BODY)
    await mock.post(BODY, status="500")
    await mock.get("/v1/models/gpt-4o")
    calls = await mock.get("/mock/calls")
    assert calls["by_path"]["/v1/chat/completions"] == 2
    assert calls["by_path"]["/v1/models/{id}"] == 1
    assert calls["by_status"] == {"200": 2, "500": 1}
    assert (calls["total"], calls["billed"]) == (4, 1)


async def test_latency_is_kept(mock: MockServer) -> None:
    started = time.monotonic()
    await mock.post({**BODY, "max_tokens": 4}, latency_ms="60", token_ms="10")
    assert time.monotonic() - started >= 0.1


async def test_many_at_once(mock: MockServer) -> None:
    answers = await asyncio.gather(*(mock.stream({**BODY, "seed": n}) for n in range(50)))
    assert len(set(answers)) == 50
    lines = await mock.get("/mock/bill")
    assert len({line["id"] for line in lines}) == 50


async def test_request_ids_differ(mock: MockServer) -> None:
    raw = mock.client.chat.completions.with_raw_response
    ids = {(await raw.create(**BODY)).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


async def test_health(mock: MockServer) -> None:
    assert await mock.get("/health") == {"status": "ok"}
