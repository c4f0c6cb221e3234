"""Unmodified clients against `python main.py all`: only base_url and key are changed.

Every call must be answered, and its cost and cache outcome recorded exactly once.
"""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import openai
import pytest
import pytest_asyncio
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from tests.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "gpt-4o-mini"
HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Look up the weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.api_key) as made:
        yield made


async def recorded(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """The one END that closes a request, as the admin API knows it at once."""
    status, document = await gateway.admin(f"/admin/v1/requests/{request_id}")
    assert status == 200
    finals = [e for e in document["events"] if e["kind"] == "end" and e["is_final"]]
    assert len(finals) == 1
    return dict(finals[0])


async def test_chat_is_answered_priced_and_recorded(
    gateway: Gateway, client: openai.AsyncOpenAI
) -> None:
    raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.usage is not None
    end = await recorded(gateway, raw.headers["x-apex-request-id"])
    assert end["input_tokens"] + end["cache_read_tokens"] == answer.usage.prompt_tokens
    assert end["output_tokens"] == answer.usage.completion_tokens
    assert end["cost_usd"] == raw.headers["x-apex-cost-usd"]
    # 0.15 and 0.60 USD a million tokens: 150,000 and 600,000 pico-USD a token.
    expected = 150_000 * end["input_tokens"] + 600_000 * end["output_tokens"]
    assert Decimal(end["cost_usd"]) * 10**12 == expected
    assert end["is_simulated"]


async def test_stream_usage_and_receipt(gateway: Gateway, client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    end = await recorded(gateway, stream.response.headers["x-apex-request-id"])
    assert end["output_tokens"] == chunks[-1].usage.completion_tokens
    assert end["finish_reasons"] == ["stop"]


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_tools(client: openai.AsyncOpenAI, is_streaming: bool) -> None:
    asked: Any = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Weather in Paris?"}],
        "tools": [WEATHER],
        "tool_choice": "required",
    }
    if is_streaming:
        async with client.chat.completions.stream(**asked) as stream:
            completion: Any = await stream.get_final_completion()
    else:
        completion = await client.chat.completions.create(**asked)
    call = completion.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert "city" in call.function.arguments


async def test_structured_output_is_parsed(client: openai.AsyncOpenAI) -> None:
    class Person(BaseModel):
        name: str
        age: int

    answer = await client.chat.completions.parse(
        model=MODEL, messages=HELLO, response_format=Person
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


async def test_embeddings_in_the_clients_default_base64(
    gateway: Gateway, client: openai.AsyncOpenAI
) -> None:
    ask: Any = {"model": "text-embedding-3-small", "input": ["one", "two"], "user": "embedder"}
    first = await client.embeddings.create(**ask)
    raw = await client.embeddings.with_raw_response.create(**ask)
    again = raw.parse()
    assert [d.embedding for d in first.data] == [d.embedding for d in again.data]
    assert len(first.data) == 2
    end = await recorded(gateway, raw.headers["x-apex-request-id"])
    assert end["cache"] == raw.headers["x-apex-cache"]


async def test_models_are_listed_and_described(client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert MODEL in names
    assert (await client.models.retrieve(MODEL)).id == MODEL
    with pytest.raises(openai.NotFoundError, match="gpt-4o"):
        await client.models.retrieve("gpt-4o-minni")


async def test_the_synchronous_client_works_too(gateway: Gateway) -> None:
    def call() -> str | None:
        with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.api_key) as plain:
            answer = plain.chat.completions.create(model=MODEL, messages=HELLO)
            return answer.choices[0].message.content

    assert await asyncio.to_thread(call)


async def test_langchain_chat_stream_tools_and_embeddings(gateway: Gateway) -> None:
    options: Any = {"base_url": gateway.base_url, "api_key": gateway.api_key}
    chat = ChatOpenAI(**options | {"model": MODEL, "temperature": 0})
    answer = await chat.ainvoke([HumanMessage("Say hello.")])
    assert answer.content
    assert answer.usage_metadata is not None
    pieces = [piece async for piece in chat.astream("Count to three.")]
    assert "".join(str(piece.content) for piece in pieces)
    bound = chat.bind_tools([WEATHER], tool_choice="get_weather")
    assert (await bound.ainvoke("Weather in Rome?")).tool_calls[0]["name"] == "get_weather"
    # With the length check on, this client first downloads a tokenizer from the internet.
    options["check_embedding_ctx_length"] = False
    embeddings = OpenAIEmbeddings(model="text-embedding-3-small", **options)
    assert len(await embeddings.aembed_query("hi")) > 10


async def test_usage_adds_up_with_the_log_and_the_mocks_bill(
    gateway: Gateway, client: openai.AsyncOpenAI
) -> None:
    status, before = await gateway.admin("/admin/v1/usage?group_by=tag")
    assert status == 200
    for _ in range(3):
        await client.chat.completions.create(
            model=MODEL, messages=HELLO, extra_headers={"x-apex-tags": "team=search"}
        )
    _, usage = await gateway.admin("/admin/v1/usage?group_by=tag")
    [row] = [row for row in usage["rows"] if row["tag"] == "team=search"]
    assert row["requests"] == 3
    assert usage["totals"]["requests"] == before["totals"]["requests"] + 3
    code, table, _ = await gateway.verb("usage", "--group-by", "model")
    assert code == 0
    assert MODEL in table
    code, report, _ = await gateway.verb("conservation")
    assert code == 0, report
    assert "0 different" in report
    assert report.endswith("exact\n")
