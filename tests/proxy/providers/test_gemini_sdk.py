"""What openai-python makes of our translation, and our translation of what Google's mock answers.

The server here is what the gateway will be: it takes a chat request, asks the mock's Gemini side
over a socket, and answers in chat completions.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse, web
from openai import APIError, AsyncOpenAI, AuthenticationError, InternalServerError
from pydantic import BaseModel

from proxy.providers.gemini_translators import (
    GEMINI_KEY_HEADER,
    ChatToGemini,
    EmbeddingsToGemini,
    gemini_embeddings_path,
    gemini_path,
)
from proxy.providers.translation import UntranslatableError
from tests.proxy.providers.gemini_goldens import goldens
from tests.proxy.providers.mock.server import MockServer, running_mock

MODEL = "gemini-2.5-flash"
HELLO: list[Any] = [{"role": "user", "content": "Tell me about herons."}]
WEATHER: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    for name in ("get_weather", "get_time")
]
BOTH: list[Any] = [{"role": "user", "content": "Use get_weather and get_time for Paris."}]


class Door:
    """Translates in both directions around one mock."""

    def __init__(self, mock: MockServer) -> None:
        self._mock = mock

    async def chat(self, http: web.Request) -> web.StreamResponse:
        asked = orjson.loads(await http.read())
        translator = ChatToGemini()
        try:
            body = translator.request(asked)
        except UntranslatableError as error:
            fields = {"message": error.message, "param": error.param, "type": "x", "code": None}
            return web.json_response({"error": fields}, status=400)
        is_streaming = asked.get("stream") is True
        path = gemini_path(asked["model"], is_streaming=is_streaming)
        async with self._mock.http.post(
            f"{self._mock.url}/v1beta/{path}", json=body, headers=_headers(http)
        ) as reply:
            if reply.status != 200:
                error_document = translator.error(await reply.json())
                return web.json_response(error_document, status=reply.status)
            if is_streaming:
                return await self._stream(http, reply, asked)
            return web.json_response(translator.answer(await reply.json(), asked))

    async def _stream(
        self, http: web.Request, reply: ClientResponse, asked: dict[str, Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        stream = ChatToGemini().stream(asked)
        async for chunk in reply.content.iter_any():
            await response.write(stream.feed(chunk))
        if not stream.is_done:
            await response.write(b'data: {"error":{"message":"cut","code":"cut"}}\n\n')
        return response

    async def embeddings(self, http: web.Request) -> web.StreamResponse:
        asked = orjson.loads(await http.read())
        translator = EmbeddingsToGemini()
        url = f"{self._mock.url}/v1beta/{gemini_embeddings_path(asked['model'])}"
        body = translator.request(asked)
        async with self._mock.http.post(url, json=body, headers=_headers(http)) as reply:
            return web.json_response(translator.answer(await reply.json(), asked))


def _headers(http: web.Request) -> dict[str, str]:
    faults = {name: text for name, text in http.headers.items() if name.startswith("x-mock-")}
    key = http.headers["Authorization"].removeprefix("Bearer ")
    return {**faults, GEMINI_KEY_HEADER: key}


@pytest.fixture
async def mock(tmp_path: Path) -> AsyncIterator[MockServer]:
    async with running_mock(tmp_path / "bill.jsonl") as server:
        yield server


@pytest.fixture
async def client(mock: MockServer) -> AsyncIterator[AsyncOpenAI]:
    app, door = web.Application(client_max_size=2**24), Door(mock)
    app.router.add_post("/v1/chat/completions", door.chat)
    app.router.add_post("/v1/embeddings", door.embeddings)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="k", max_retries=0
        ) as found:
            yield found
    finally:
        await runner.cleanup()


async def test_text_and_thoughts(client: AsyncOpenAI, mock: MockServer) -> None:
    extra = {"google": {"thinking_config": {"include_thoughts": True}}}
    answer = await client.chat.completions.create(
        model=MODEL, messages=HELLO, reasoning_effort="low", extra_body=extra
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "stop"
    assert choice.message.content
    assert (choice.message.model_extra or {})["reasoning_content"]
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    reasoning_tokens = answer.usage.completion_tokens_details.reasoning_tokens
    assert reasoning_tokens
    (line,) = await mock.get("/mock/bill")
    assert line["reasoning_tokens"] == reasoning_tokens
    assert line["output_tokens"] + reasoning_tokens == answer.usage.completion_tokens


async def test_stream_says_what_the_whole_answer_says(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model=MODEL, messages=HELLO)
    stream = await client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:-1]] == ["stop"]
    assert {chunk.id for chunk in chunks} == {whole.id}


async def test_parallel_calls_and_their_results(client: AsyncOpenAI) -> None:
    model = "gemini-3-flash-preview"
    answer = await client.chat.completions.create(model=model, messages=BOTH, tools=WEATHER)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    calls = message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == [
        "get_weather", "get_time",
    ]  # fmt: skip
    assert (calls[0].model_extra or {})["extra_content"]["google"]["thought_signature"]
    results: list[Any] = [
        {"role": "tool", "tool_call_id": call.id, "content": "12"} for call in calls
    ]
    said: Any = message.model_dump(exclude_none=True)
    after = await client.chat.completions.create(
        model=model, messages=[*BOTH, said, *results], tools=WEATHER
    )
    assert after.choices[0].message.content


async def test_streamed_calls_gathered_by_the_client(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model=MODEL, messages=BOTH, tools=WEATHER)
    async with client.chat.completions.stream(model=MODEL, messages=BOTH, tools=WEATHER) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    wanted = whole.choices[0].message.tool_calls or []
    assert [(call.id, call.function.arguments) for call in calls] == [
        (call.id, call.function.arguments) for call in wanted if call.type == "function"
    ]


async def test_schema(client: AsyncOpenAI) -> None:
    class Nest(BaseModel):
        place: str | None
        eggs: int

    class Bird(BaseModel):
        name: str
        nests: list[Nest]

    answer = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Bird)
    assert isinstance(answer.choices[0].message.parsed, Bird)


async def test_several_answers_limits_and_stops(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=HELLO, n=3, max_tokens=5, reasoning_effort="none"
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    stream = await client.chat.completions.create(model=MODEL, messages=HELLO, n=2, stream=True)
    finishes = [c.index async for chunk in stream for c in chunk.choices if c.finish_reason]
    assert sorted(finishes) == [0, 1]


async def test_pictures_are_counted_and_prefixes_cached(client: AsyncOpenAI) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    text = {"type": "text", "text": "word " * 2000}
    plain: list[Any] = [{"role": "user", "content": [text]}]
    seen: list[Any] = [{"role": "user", "content": [text, picture]}]
    first = await client.chat.completions.create(model=MODEL, messages=plain)
    second = await client.chat.completions.create(model=MODEL, messages=seen)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.prompt_tokens >= first.usage.prompt_tokens + 85
    assert second.usage.prompt_tokens_details is not None
    assert second.usage.prompt_tokens_details.cached_tokens


async def test_blocked_prompt(client: AsyncOpenAI) -> None:
    headers = {"x-mock-refusal": "1"}
    answer = await client.chat.completions.create(
        model=MODEL, messages=HELLO, extra_headers=headers
    )
    assert answer.choices[0].finish_reason == "content_filter"
    assert "SAFETY" in (answer.choices[0].message.refusal or "")
    stream = await client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, extra_headers=headers
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason == "content_filter"


async def test_errors(client: AsyncOpenAI) -> None:
    with pytest.raises(InternalServerError) as caught:
        await client.chat.completions.create(
            model=MODEL, messages=HELLO, extra_headers={"x-mock-status": "503"}
        )
    assert caught.value.code == "unavailable"
    other = client.with_options(api_key="sk-invalid-1")
    with pytest.raises(APIError) as refused:
        await other.chat.completions.create(model=MODEL, messages=HELLO)
    assert refused.value.code == "invalid_api_key"
    assert not isinstance(refused.value, AuthenticationError)  # Google answers 400


@pytest.mark.parametrize(
    ("fault", "message"),
    [("error-event", "Simulated error"), ("no-done", "cut"), ("no-usage", "cut"),
     ("broken-json", "neither an answer nor an error")],
)  # fmt: skip
async def test_streams_that_do_not_end_well(client: AsyncOpenAI, fault: str, message: str) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, extra_headers={"x-mock-garbage": fault}
    )
    with pytest.raises(APIError, match=message):
        _ = [chunk async for chunk in stream]


async def test_embeddings_in_the_clients_own_encoding(
    client: AsyncOpenAI, mock: MockServer
) -> None:
    counted = await client.embeddings.create(model="gemini-embedding-2", input=["a", "heron"])
    plain = await client.embeddings.create(
        model="gemini-embedding-2", input=["a", "heron"], encoding_format="float", dimensions=8
    )
    assert [len(item.embedding) for item in counted.data] == [3072, 3072]
    assert [len(item.embedding) for item in plain.data] == [8, 8]
    assert counted.usage.prompt_tokens == 3
    uncounted = await client.embeddings.create(model="gemini-embedding-001", input="a")
    assert uncounted.model_dump().get("usage") is None
    bill = await mock.get("/mock/bill")
    assert [line["input_tokens"] for line in bill] == [3, 3, 1]


@pytest.mark.parametrize("exchange", goldens("requests"))
async def test_mock_takes_every_golden_request(
    client: AsyncOpenAI, exchange: dict[str, Any]
) -> None:
    chat = {name: value for name, value in exchange["chat"].items() if name != "stream"}
    chat.pop("stream_options", None)
    answer = await client.post("/chat/completions", body=chat, cast_to=object)
    assert isinstance(answer, dict)
    assert answer["choices"]
