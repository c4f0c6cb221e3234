"""The mock's chat as openai-python sees it: whole, streamed, limited, cut and abandoned."""

import asyncio

import aiohttp
import orjson
import pytest
from openai import APIError, APIStatusError, AsyncOpenAI

from tests.proxy.providers.mock.server import BODY, DEADLINE_S, MockServer


async def test_same_request_same_answer(mock: MockServer) -> None:
    first = await mock.client.chat.completions.create(**BODY)
    second = await mock.client.chat.completions.create(**BODY)
    other = await mock.client.chat.completions.create(**BODY, temperature=0.5)
    assert first == second
    assert first.id.startswith("chatcmpl-")
    assert first.choices[0].message.content != other.choices[0].message.content
    assert first.choices[0].finish_reason == "stop"
    assert first.usage is not None
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
    assert first.service_tier == "default"
    assert (first.system_fingerprint or "").startswith("fp_")


async def test_stream_is_its_twin_token_by_token(mock: MockServer) -> None:
    whole = await mock.client.chat.completions.create(**BODY)
    stream = await mock.client.chat.completions.create(
        **BODY, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    *contents, usage = chunks
    assert contents[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in contents)
    assert text == whole.choices[0].message.content
    assert [chunk.usage for chunk in contents] == [None] * len(contents)
    assert usage.choices == []
    assert usage.usage == whole.usage
    assert usage.usage is not None
    assert usage.usage.completion_tokens == len(contents) - 2  # all but role and finish
    assert {(chunk.id, chunk.created) for chunk in chunks} == {(usage.id, usage.created)}
    finishes = [chunk.choices[0].finish_reason for chunk in contents]
    assert finishes == [None] * (len(contents) - 1) + ["stop"]


async def test_stream_ends_with_done_and_tells_no_usage_unasked(mock: MockServer) -> None:
    data = await mock.stream(BODY)
    assert data.endswith(b"data: [DONE]\n\n")
    assert b"usage" not in data


async def test_choices_take_turns(mock: MockServer) -> None:
    stream = await mock.client.chat.completions.create(**BODY, n=3, stream=True)
    order = [chunk.choices[0].index async for chunk in stream]
    assert order[:9] == [0, 1, 2, 0, 1, 2, 0, 1, 2]
    whole = await mock.client.chat.completions.create(**BODY, n=3)
    assert len({choice.message.content for choice in whole.choices}) == 3


async def test_logprobs(mock: MockServer) -> None:
    answer = await mock.client.chat.completions.create(**BODY, logprobs=True, top_logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    text = "".join(entry.token for entry in logprobs.content)
    assert text == answer.choices[0].message.content
    assert {len(entry.top_logprobs) for entry in logprobs.content} == {2}


async def test_left_stream_is_billed_for_what_was_generated(mock: MockServer) -> None:
    headers = {"x-mock-token-ms": "10", "x-mock-output-tokens": "2000"}
    client = mock.client.with_options(default_headers=headers)
    stream = await client.chat.completions.create(**BODY, stream=True)
    seen = 0
    async for _ in stream:
        seen += 1
        if seen == 4:
            break
    await stream.close()
    (line,) = await mock.bill_when(bool)
    assert line["complete"] is False
    assert 3 <= line["output_tokens"] < 2000
    calls = await mock.get("/mock/calls")
    assert calls["clients_left"] == 1


async def test_whole_stream_is_on_the_bill_before_its_end(mock: MockServer) -> None:
    await mock.stream(BODY)
    (line,) = await mock.get("/mock/bill")
    assert line["complete"] is True


async def test_cut_stream(mock: MockServer) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await mock.stream(BODY, cut_after_tokens="3")
    (line,) = await mock.get("/mock/bill")
    assert (line["complete"], line["output_tokens"]) == (False, 3)


async def test_cut_document(mock: MockServer) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await mock.post(BODY, cut_after_tokens="3")
    (line,) = await mock.get("/mock/bill")
    assert (line["complete"], line["output_tokens"]) == (False, 3)


@pytest.mark.parametrize(("header", "value"), [("silence", "headers"), ("silence", "1")])
async def test_silence(mock: MockServer, header: str, value: str) -> None:
    for body in (BODY, {**BODY, "stream": True}):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await mock.post(body, **{header: value})
    async with asyncio.timeout(DEADLINE_S):
        while (await mock.get("/mock/calls"))["clients_left"] < 2:
            await asyncio.sleep(0.005)


async def test_silence_after_tokens(mock: MockServer) -> None:
    client = mock.client.with_options(default_headers={"x-mock-silence-after-tokens": "2"})
    stream = await client.chat.completions.create(**BODY, stream=True)
    seen = [await anext(stream) for _ in range(3)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in seen)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.2)
    await stream.close()
    (line,) = await mock.bill_when(bool)
    assert (line["complete"], line["output_tokens"]) == (False, 2)


async def test_garbage_streams(mock: MockServer) -> None:
    with_usage = {**BODY, "stream_options": {"include_usage": True}}
    no_usage = await mock.stream(with_usage, garbage="no-usage")
    assert b'"prompt_tokens"' not in no_usage
    assert no_usage.endswith(b"data: [DONE]\n\n")
    no_done = await mock.stream(BODY, garbage="no-done")
    assert b"[DONE]" not in no_done
    assert b'"finish_reason":"stop"' in no_done
    assert await mock.stream(BODY, garbage="empty") == b""
    assert (await mock.stream(BODY, garbage="html")).startswith(b"<!doctype html>")
    broken = await mock.stream(BODY, garbage="broken-json")
    with pytest.raises(orjson.JSONDecodeError):
        [orjson.loads(line[6:]) for line in broken.split(b"\n\n")[:-2]]
    bill = await mock.get("/mock/bill")
    assert [line["complete"] for line in bill] == [True, False, False]


async def test_error_event_inside_a_stream(mock: MockServer) -> None:
    client = mock.client.with_options(default_headers={"x-mock-garbage": "error-event"})
    stream = await client.chat.completions.create(**BODY, stream=True)
    with pytest.raises(APIError, match="inside a stream"):
        async for _ in stream:
            pass


async def test_garbage_documents(mock: MockServer) -> None:
    _, no_usage = await mock.post(BODY, garbage="no-usage")
    assert "usage" not in no_usage
    url = f"{mock.url}/v1/chat/completions"
    headers = {"x-mock-garbage": "broken-json"}
    async with mock.http.post(url, json=BODY, headers=headers) as reply:
        broken = await reply.read()
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(broken)


async def test_prompt_cache_shows_in_usage_and_bill(mock: MockServer) -> None:
    body = {**BODY, "messages": [{"role": "user", "content": "a heron " * 1024}]}
    await mock.client.chat.completions.create(**body)
    second = await mock.client.chat.completions.create(**body)
    other_key = AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="sk-other", max_retries=0)
    async with other_key:
        third = await other_key.chat.completions.create(**body)
    cached = []
    for answer in (second, third):
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        cached.append(answer.usage.prompt_tokens_details.cached_tokens)
    assert cached == [2048 - 2048 % 128, 0]
    lines = await mock.get("/mock/bill")
    assert [line["cache_read_tokens"] for line in lines] == [0, 2048, 0]
    assert second.usage is not None
    assert lines[1]["input_tokens"] == second.usage.prompt_tokens - 2048


async def test_errors_are_openai_errors(mock: MockServer) -> None:
    client = mock.client.with_options(default_headers={"x-mock-retry-after": "7"})
    with pytest.raises(APIStatusError) as caught:
        await client.chat.completions.create(**BODY)
    assert caught.value.status_code == 429
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.request_id is not None
    assert await mock.get("/mock/bill") == []
