"""Azure's paths, as Azure's official client uses them, and upstreams of kind azure."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from policies.snapshot import Target
from tests.proxy.mock_gateway import MockGateway, mock_gateway
from tests.proxy_gateway import API_KEY, ProxyGateway, local_upstream

HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def mock(tmp_path: Path) -> AsyncIterator[MockGateway]:
    async with mock_gateway(tmp_path) as running:
        yield running


@pytest.fixture
async def azure(mock: MockGateway) -> AsyncIterator[openai.AsyncAzureOpenAI]:
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=mock.root, api_key=API_KEY, api_version="2024-10-21", max_retries=0
    ) as made:
        yield made


async def test_azures_client_works_unchanged(
    azure: openai.AsyncAzureOpenAI, mock: MockGateway
) -> None:
    answer = await azure.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert answer.choices[0].message.content
    stream = await azure.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason == "stop"
    vectors = await azure.embeddings.create(model="text-embedding-3-small", input="hello")
    assert vectors.data[0].embedding
    completion = await azure.completions.create(model="gpt-4o-mini", prompt="hello")
    assert completion.choices[0].text
    spoken = await azure.audio.speech.create(model="tts-1", voice="alloy", input="hello")
    assert spoken.content
    response = await azure.responses.create(model="gpt-4o", input="hello", store=False)
    assert response.output_text
    endpoints = [end["endpoint"] for end in mock.gateway.ends()]
    assert endpoints == ["chat", "chat", "embeddings", "completions", "audio", "responses"]


async def test_the_deployment_is_the_model_whatever_the_body_says(mock: MockGateway) -> None:
    url = f"{mock.root}/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21"
    for body in ({"messages": HELLO}, {"messages": HELLO, "model": "something-else"}):
        async with mock.http.post(url, json=body, headers={"api-key": API_KEY}) as reply:
            assert reply.status == 200
            assert (await reply.json())["model"] == "gpt-4o-mini"
    assert {end["requested_model"] for end in mock.gateway.ends()} == {"gpt-4o-mini"}


async def test_an_unknown_deployment_is_a_404_and_a_wrong_key_a_401(
    azure: openai.AsyncAzureOpenAI, mock: MockGateway
) -> None:
    with pytest.raises(openai.NotFoundError):
        await azure.chat.completions.create(model="nope", messages=HELLO)
    wrong = openai.AsyncAzureOpenAI(
        azure_endpoint=mock.root, api_key="k" * 40, api_version="2024-10-21", max_retries=0
    )
    async with wrong:
        with pytest.raises(openai.AuthenticationError):
            await wrong.chat.completions.create(model="gpt-4o", messages=HELLO)


@pytest.mark.parametrize("api_version", ["", "2024-10-21"])
async def test_an_azure_upstream_is_called_at_its_own_paths(
    mock: MockGateway, tmp_path: Path, api_version: str
) -> None:
    upstreams = {
        "azure": local_upstream("azure", mock.mock_url, kind="azure", api_version=api_version)
    }
    models = {"gpt-4o": (Target("azure", "my-deployment"),)}
    async with (
        ProxyGateway(tmp_path / "second", upstreams, models=models) as gateway,
        openai.AsyncOpenAI(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as client,
    ):
        answer = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert answer.model == "my-deployment"
        async with mock.http.get(f"{mock.mock_url}/mock/calls") as reply:
            paths = (await reply.json())["by_path"]
    spoken = "/openai/deployments/{deployment}/chat/completions"
    assert (spoken in paths) == bool(api_version), paths
