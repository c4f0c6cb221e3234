"""The mock's Google side as google-genai sees it, and as plain HTTP does."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.proxy.providers.mock.server import MockServer

MODEL = "gemini-2.5-flash"
CONTENTS: list[Any] = [{"role": "user", "parts": [{"text": "Tell me about herons."}]}]
KEY = {"x-goog-api-key": "key-1"}


def google_client(mock: MockServer, **headers: str) -> genai.Client:
    options = types.HttpOptions(base_url=mock.url, headers=headers)
    return genai.Client(api_key="key-1", http_options=options)


@pytest.fixture
async def google(mock: MockServer) -> AsyncIterator[genai.Client]:
    client = google_client(mock)
    yield client
    await client.aio.aclose()


async def post(
    mock: MockServer, path: str, document: Any, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    url = f"{mock.url}/v1beta/models/{path}"
    async with mock.http.post(url, json=document, headers={**KEY, **(headers or {})}) as reply:
        return reply.status, orjson.loads(await reply.read())


async def test_same_request_same_answer(google: genai.Client, mock: MockServer) -> None:
    first = await google.aio.models.generate_content(model=MODEL, contents="Hello herons")
    second = await google.aio.models.generate_content(model=MODEL, contents="Hello herons")
    assert first.text
    assert first.text == second.text
    assert first.response_id == second.response_id
    assert first.model_version == MODEL
    assert first.candidates is not None
    assert first.candidates[0].finish_reason == types.FinishReason.STOP
    usage = first.usage_metadata
    assert usage is not None
    assert usage.thoughts_token_count
    total = (usage.prompt_token_count or 0) + (usage.candidates_token_count or 0)
    assert usage.total_token_count == total + usage.thoughts_token_count
    line, _ = await mock.get("/mock/bill")
    assert line["input_tokens"] == usage.prompt_token_count
    assert line["output_tokens"] == usage.candidates_token_count
    assert line["reasoning_tokens"] == usage.thoughts_token_count
    assert line["cost_picousd"] > 0
    assert line["complete"] is True


async def test_stream_is_its_twin(google: genai.Client, mock: MockServer) -> None:
    whole = await google.aio.models.generate_content(model=MODEL, contents="Hello herons")
    stream = await google.aio.models.generate_content_stream(model=MODEL, contents="Hello herons")
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert chunks[-1].usage_metadata == whole.usage_metadata
    reasons = [(chunk.candidates or [types.Candidate()])[0].finish_reason for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + [types.FinishReason.STOP]
    first, second = await mock.get("/mock/bill")
    assert first["cost_picousd"] == second["cost_picousd"]


async def test_thoughts_are_shown_when_asked(google: genai.Client) -> None:
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=100)
    )
    answer = await google.aio.models.generate_content(model=MODEL, contents="Hello", config=config)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.thoughts_token_count == 100
    assert answer.parts is not None
    assert [bool(part.thought) for part in answer.parts] == [True, False]


async def test_tools_and_their_results(google: genai.Client) -> None:
    declarations = [
        types.FunctionDeclaration(
            name=name,
            parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}},
        )
        for name in ("get_weather", "get_time")
    ]
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=declarations)])
    chat = google.aio.chats.create(model="gemini-3-flash-preview", config=config)
    answer = await chat.send_message("Use get_weather and get_time.")
    calls = answer.function_calls or []
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert all(call.id and isinstance(call.args, dict) for call in calls)
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"output": "12"}
            )
        )
        for call in calls
    ]
    after = await chat.send_message(list(results))
    assert after.text


async def test_older_schema_in_capitals(google: genai.Client) -> None:
    class Bird(BaseModel):
        name: str
        legs: int

    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Bird
    )
    answer = await google.aio.models.generate_content(model=MODEL, contents="A?", config=config)
    assert isinstance(answer.parsed, Bird)


async def test_models_counts_and_vectors(google: genai.Client, mock: MockServer) -> None:
    counted = await google.aio.models.count_tokens(model=MODEL, contents="Hello herons")
    answer = await google.aio.models.generate_content(model=MODEL, contents="Hello herons")
    assert answer.usage_metadata is not None
    assert counted.total_tokens == answer.usage_metadata.prompt_token_count
    embedded = await google.aio.models.embed_content(
        model="gemini-embedding-001",
        contents=["a", "b"],
        config=types.EmbedContentConfig(output_dimensionality=5),
    )
    assert [len(item.values or []) for item in embedded.embeddings or []] == [5, 5]
    document = {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 5}
    status, one = await post(mock, "gemini-embedding-2:embedContent", document)
    assert status == 200
    assert len(one["embedding"]["values"]) == 5
    assert one["usageMetadata"]["promptTokenCount"] == 1
    async with mock.http.get(f"{mock.url}/v1beta/models", headers=KEY) as reply:
        names = [model["name"] for model in (await reply.json())["models"]]
    assert f"models/{MODEL}" in names
    async with mock.http.get(f"{mock.url}/v1beta/models/nobody?key=k") as reply:
        assert reply.status == 404
        assert (await reply.json())["error"]["status"] == "NOT_FOUND"


async def test_array_stream_without_sse(mock: MockServer) -> None:
    status, chunks = await post(mock, f"{MODEL}:streamGenerateContent", {"contents": CONTENTS})
    assert status == 200
    assert isinstance(chunks, list)
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_several_candidates_take_turns(mock: MockServer) -> None:
    config = {"candidateCount": 2, "maxOutputTokens": 400, "thinkingConfig": {"thinkingBudget": 0}}
    document = {"contents": CONTENTS, "generationConfig": config}
    _, chunks = await post(mock, f"{MODEL}:streamGenerateContent", document)
    order = [chunk["candidates"][0]["index"] for chunk in chunks]
    assert order[:4] == [0, 1, 0, 1]
    _, whole = await post(mock, f"{MODEL}:generateContent", document)
    assert len(whole["candidates"]) == 2
    assert whole["usageMetadata"] == chunks[-1]["usageMetadata"]


async def test_keys(mock: MockServer) -> None:
    url = f"{mock.url}/v1beta/models/{MODEL}:generateContent"
    async with aiohttp.ClientSession() as http:
        async with http.post(url, json={"contents": CONTENTS}) as reply:
            assert reply.status == 403
            assert (await reply.json())["error"]["status"] == "PERMISSION_DENIED"
        async with http.post(f"{url}?key=mine", json={"contents": CONTENTS}) as reply:
            assert reply.status == 200
    client = genai.Client(api_key="sk-invalid-1", http_options=types.HttpOptions(base_url=mock.url))
    with pytest.raises(errors.ClientError, match="API_KEY_INVALID") as caught:
        await client.aio.models.generate_content(model=MODEL, contents="Hello")
    await client.aio.aclose()
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "contents is not specified"),
        ({"contents": CONTENTS, "messages": []}, 'Unknown name "messages"'),
        ({"contents": CONTENTS, "generationConfig": {"max_tokens": 5}}, 'Unknown name "maxTokens"'),
        ({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]}, "valid role"),
        ({"contents": [{"role": "user"}]}, "parts"),
        ({"contents": [5]}, "expected an object"),
        ({"contents": CONTENTS, "systemInstruction": []}, "Invalid value"),
        ({"contents": CONTENTS, "systemInstruction": "x"}, "expected an object"),
        (
            {"contents": CONTENTS, "generationConfig": {"thinkingConfig": {"thinkingLevel": "X"}}},
            "thinking_level",
        ),
    ],
)
async def test_requests_google_refuses(mock: MockServer, document: Any, message: str) -> None:
    status, answer = await post(mock, f"{MODEL}:generateContent", document)
    assert status == 400
    assert answer["error"]["status"] == "INVALID_ARGUMENT"
    assert message in answer["error"]["message"]


async def test_snake_case_is_google_too(mock: MockServer) -> None:
    document = {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"parts": [{"text": "See"}, {"inline_data": {"mime_type": "image/png", "data": "AA"}}]}
        ],
        "generation_config": {"max_output_tokens": 2, "thinking_config": {"thinking_budget": 0}},
    }
    status, answer = await post(mock, f"{MODEL}:generateContent", document)
    assert status == 200
    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert answer["usageMetadata"]["promptTokenCount"] >= 85


async def test_prompt_cache_reads_are_told(google: genai.Client, mock: MockServer) -> None:
    long = "word " * 2000
    await google.aio.models.generate_content(model=MODEL, contents=long)
    answer = await google.aio.models.generate_content(model=MODEL, contents=long)
    assert answer.usage_metadata is not None
    cached = answer.usage_metadata.cached_content_token_count
    assert cached
    assert (await mock.get("/mock/bill"))[1]["cache_read_tokens"] == cached


async def test_faults(mock: MockServer) -> None:
    generate = f"{MODEL}:generateContent"
    document = {"contents": CONTENTS}
    status, answer = await post(mock, generate, document, {"x-mock-retry-after": "3"})
    assert status == 429
    assert answer["error"]["status"] == "RESOURCE_EXHAUSTED"
    failing = {"x-mock-fail-first": "1", "x-mock-status": "503", "x-mock-key": "g"}
    assert (await post(mock, generate, document, failing))[0] == 503
    assert (await post(mock, generate, document, failing))[0] == 200
    _, blocked = await post(mock, generate, document, {"x-mock-refusal": "1"})
    assert blocked["promptFeedback"]["blockReason"] == "SAFETY"
    assert "candidates" not in blocked
    assert (
        blocked["usageMetadata"]["totalTokenCount"]
        == (blocked["usageMetadata"]["promptTokenCount"])
    )
    _, uncounted = await post(mock, generate, document, {"x-mock-garbage": "no-usage"})
    assert "usageMetadata" not in uncounted
    filtered = {"x-mock-finish-reason": "content_filter"}
    _, answer = await post(mock, generate, document, filtered)
    assert answer["candidates"][0]["finishReason"] == "SAFETY"


async def test_cut_stream_is_billed_for_what_was_generated(mock: MockServer) -> None:
    google = google_client(mock, **{"x-mock-cut-after-tokens": "3"})
    texts: list[str | None] = []
    with pytest.raises(Exception, match=r"(?i)peer|payload|incomplete|closed"):
        await _read_texts(google, texts)
    await google.aio.aclose()
    assert len(list(filter(None, texts))) == 3
    (line,) = await mock.bill_when(lambda lines: len(lines) == 1)
    assert line["output_tokens"] == 3
    assert line["complete"] is False


async def test_error_inside_a_stream(mock: MockServer) -> None:
    google = google_client(mock, **{"x-mock-garbage": "error-event"})
    texts: list[str | None] = []
    with pytest.raises(errors.APIError, match="UNAVAILABLE"):
        await _read_texts(google, texts)
    await google.aio.aclose()
    assert texts


async def _read_texts(google: genai.Client, texts: list[str | None]) -> None:
    async for chunk in await google.aio.models.generate_content_stream(
        model=MODEL, contents="Hello"
    ):
        texts += [chunk.text]  # at once: the stream breaks off
