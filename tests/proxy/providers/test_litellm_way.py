"""The long tail through the whole gateway: a Cohere server, callers of three dialects.

litellm is loaded on a thread meanwhile; until then callers are told to come back.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import orjson
import pytest

from policies.snapshot import Target
from tests.gateway import wait_until
from tests.proxy.providers.fixed_answers import JSON, SSE, serving
from tests.proxy.providers.test_litellm_door import COHERE, COHERE_EVENTS
from tests.proxy_gateway import API_KEY, ProxyGateway, local_upstream

HELLO: Any = [{"role": "user", "content": "Hi"}]
EVENTS = b"".join(
    b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
    for event in COHERE_EVENTS
)


async def running(directory: Path, url: str) -> AsyncIterator[ProxyGateway]:
    upstreams = {"tail": local_upstream("tail", url, kind="cohere")}
    models = {"command-r": (Target("tail", "command-r"),)}
    async with ProxyGateway(directory, upstreams, models=models) as gateway:
        client = openai.AsyncOpenAI(base_url=gateway.base_url, api_key=API_KEY, max_retries=0)
        async with client, asyncio.timeout(60):
            await wait_until(lambda: _answers(client))
        yield gateway
        gateway.check_conservation()


async def _answers(client: openai.AsyncOpenAI) -> bool:
    """Whether the door is open: until then a call is a 503 that says when to come back."""
    try:
        await client.chat.completions.create(model="command-r", messages=HELLO)
    except openai.APIStatusError as error:
        if error.code == "translation_loading":
            return error.response.headers["Retry-After"] != "3"
    return True  # it has been asked; what it answered is the test's matter


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[ProxyGateway]:
    async with serving(orjson.dumps(COHERE), JSON) as url:
        async for gateway in running(tmp_path, url):
            yield gateway


@pytest.fixture
async def streams(tmp_path: Path) -> AsyncIterator[ProxyGateway]:
    async with serving(EVENTS, SSE) as url:
        async for gateway in running(tmp_path, url):
            yield gateway


async def test_callers_of_every_dialect_are_answered(documents: ProxyGateway) -> None:
    root = documents.base_url.removesuffix("/v1")
    async with openai.AsyncOpenAI(base_url=documents.base_url, api_key=API_KEY) as client:
        answer = await client.chat.completions.create(model="command-r", messages=HELLO)
        assert answer.choices[0].message.content
        response = await client.responses.create(model="command-r", input="Hi", store=False)
        assert response.output_text == answer.choices[0].message.content
    async with anthropic.AsyncAnthropic(base_url=root, api_key=API_KEY) as claude:
        message = await claude.messages.create(model="command-r", max_tokens=9, messages=HELLO)
        assert message.content[0].type == "text"
    last = documents.ends()[-1]
    assert (last["endpoint"], last["upstream_kind"], last["outcome"]) == (
        "messages",
        "cohere",
        "ok",
    )
    assert last["usage_source"] == "provider"
    assert last["output_tokens"] > 0


async def test_streams_too(streams: ProxyGateway) -> None:
    async with openai.AsyncOpenAI(base_url=streams.base_url, api_key=API_KEY) as client:
        text = ""
        stream = await client.chat.completions.create(
            model="command-r", messages=HELLO, stream=True
        )
        async for chunk in stream:
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    assert text
    last = streams.ends()[-1]
    assert (last["outcome"], last["is_streaming"]) == ("ok", True)
