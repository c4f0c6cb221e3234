"""Azure's paths, as openai-python's Azure client sees them."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AuthenticationError

from tests.proxy.providers.mock.server import BODY, MockServer

MESSAGES: Any = BODY["messages"]


@pytest.fixture
async def azure(mock: MockServer) -> AsyncIterator[AsyncAzureOpenAI]:
    client = AsyncAzureOpenAI(
        azure_endpoint=mock.url, api_key="sk-test", api_version="2024-10-21", max_retries=0
    )
    async with client:
        yield client


async def test_deployment_is_the_model(mock: MockServer, azure: AsyncAzureOpenAI) -> None:
    answer = await azure.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    twin = await mock.client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == twin.choices[0].message.content
    url = f"{mock.url}/openai/deployments/my-own/chat/completions?api-version=2024-10-21"
    headers = {"api-key": "sk-test"}
    async with mock.http.post(url, json={"messages": MESSAGES}, headers=headers) as reply:
        document = await reply.json()
    assert document["model"] == "my-own"
    results = document["choices"][0]["content_filter_results"]
    assert results["hate"] == {"filtered": False, "severity": "safe"}
    models = [line["model"] for line in await mock.get("/mock/bill")]
    assert models == ["gpt-4o", "gpt-4o", "my-own"]


async def test_stream_begins_with_the_filters_verdict(azure: AsyncAzureOpenAI) -> None:
    stream = await azure.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    first, second, *_ = [chunk async for chunk in stream]
    assert first.choices == []
    assert first.model_extra is not None
    assert first.model_extra["prompt_filter_results"][0]["prompt_index"] == 0
    assert second.choices[0].delta.role == "assistant"


async def test_every_endpoint_with_a_deployment(azure: AsyncAzureOpenAI) -> None:
    text = await azure.completions.create(model="gpt-35", prompt="x")
    assert text.model == "gpt-35"
    vectors = await azure.embeddings.create(model="text-embedding-3-small", input="x")
    assert len(vectors.data[0].embedding) == 1536
    images = await azure.images.generate(model="gpt-image-1", prompt="x")
    assert images.usage is not None
    speech = await azure.audio.speech.create(model="tts-1", voice="alloy", input="x")
    assert speech.content
    spoken = await azure.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"x"))
    assert spoken.text


async def test_routes_without_a_deployment(mock: MockServer, azure: AsyncAzureOpenAI) -> None:
    made = await azure.files.create(file=("a.txt", b"x"), purpose="assistants")
    assert (await mock.client.files.retrieve(made.id)).id == made.id
    assert (await azure.models.retrieve("gpt-4o")).id == "gpt-4o"


async def test_api_version_is_needed(mock: MockServer) -> None:
    url = f"{mock.url}/openai/deployments/gpt-4o/chat/completions"
    headers = {"api-key": "sk-test"}
    async with mock.http.post(url, json=BODY, headers=headers) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]["code"] == "missing_api_version"


async def test_newer_paths_need_no_version(mock: MockServer) -> None:
    client = AsyncOpenAI(base_url=f"{mock.url}/openai/v1", api_key="sk-test", max_retries=0)
    async with client:
        answer = await client.chat.completions.create(**BODY)
        assert answer.model == "gpt-4o"
        assert (await client.vector_stores.create()).id.startswith("vs_")


async def test_key_in_azures_header(mock: MockServer) -> None:
    client = AsyncAzureOpenAI(
        azure_endpoint=mock.url, api_key="sk-invalid", api_version="v", max_retries=0
    )
    async with client:
        with pytest.raises(AuthenticationError):
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    # OpenAI's own paths know no such header.
    async with (
        aiohttp.ClientSession(headers={"api-key": "sk-test"}) as session,
        session.get(f"{mock.url}/v1/models") as reply,
    ):
        assert reply.status == 401
