"""The mock's Bedrock side as boto3 sees it, and as our own translation and calls do."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import aiohttp
import boto3
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.providers.bedrock import ChatToConverse, ConverseCalls
from proxy.streaming.aws_event_stream import CorruptStreamError, EventStreamDecoder
from tests.proxy.providers.mock.server import MockServer

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PAIR = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ASK: dict[str, Any] = {
    "modelId": MODEL,
    "messages": [{"role": "user", "content": [{"text": "Tell me about herons."}]}],
}
TOOL = {
    "toolSpec": {
        "name": "top_song",
        "inputSchema": {"json": {"type": "object", "properties": {"sign": {"type": "string"}}}},
    }
}


@pytest.fixture
def amazon(mock: MockServer) -> Iterator[Any]:
    """AWS's own client on the mock; it blocks, so its calls go on threads."""
    key, _, secret = PAIR.partition(":")
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=mock.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )
    with closing(client):
        yield client


def read_stream(client: Any) -> list[Any]:
    with closing(client.converse_stream(**ASK)["stream"]) as stream:
        return list(stream)


async def test_boto3_reads_an_answer(mock: MockServer, amazon: Any) -> None:
    first = await asyncio.to_thread(amazon.converse, **ASK)
    again = await asyncio.to_thread(amazon.converse, **ASK)
    assert first["output"] == again["output"]
    assert first["stopReason"] == "end_turn"
    assert "Simulated" in first["output"]["message"]["content"][0]["text"]
    usage = first["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    line = (await mock.bill_when(lambda lines: len(lines) == 2))[0]
    assert line["model"] == MODEL
    assert line["complete"] is True
    assert (line["input_tokens"], line["output_tokens"]) == (
        usage["inputTokens"], usage["outputTokens"],
    )  # fmt: skip


async def test_boto3_reads_a_stream_that_is_its_twin(amazon: Any) -> None:
    whole = await asyncio.to_thread(amazon.converse, **ASK)
    events = await asyncio.to_thread(read_stream, amazon)
    names = [next(iter(event)) for event in events]
    assert names[0] == "messageStart"
    assert names[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
    text = "".join(delta["delta"]["text"] for delta in deltas)
    assert text == whole["output"]["message"]["content"][0]["text"]
    assert events[-1]["metadata"]["usage"] == whole["usage"]


async def test_tools_limits_and_schemas(amazon: Any) -> None:
    config = {"tools": [TOOL], "toolChoice": {"any": {}}}
    called = await asyncio.to_thread(amazon.converse, **ASK, toolConfig=config)
    assert called["stopReason"] == "tool_use"
    use = called["output"]["message"]["content"][0]["toolUse"]
    assert use["name"] == "top_song"
    turns = [
        *ASK["messages"],
        called["output"]["message"],
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "x"}]}}
            ],
        },
    ]
    after = await asyncio.to_thread(
        amazon.converse, modelId=MODEL, messages=turns, toolConfig={"tools": [TOOL]}
    )
    assert after["stopReason"] == "end_turn"
    with pytest.raises(ClientError, match="toolConfig"):
        await asyncio.to_thread(amazon.converse, modelId=MODEL, messages=turns)
    short = await asyncio.to_thread(amazon.converse, **ASK, inferenceConfig={"maxTokens": 3})
    assert short["stopReason"] == "max_tokens"
    assert short["usage"]["outputTokens"] == 3


async def test_a_long_prompt_is_read_from_the_cache(amazon: Any) -> None:
    ask = {**ASK, "system": [{"text": "heron " * 2000}]}
    first = await asyncio.to_thread(amazon.converse, **ask)
    second = await asyncio.to_thread(amazon.converse, **ask)
    assert "cacheReadInputTokens" not in first["usage"]
    assert second["usage"]["cacheReadInputTokens"] >= 1024
    assert second["usage"]["totalTokens"] == first["usage"]["totalTokens"]


async def send(
    mock: MockServer, chat: dict[str, Any], api_key: str = PAIR, **faults: str
) -> tuple[int, str, bytes]:
    """Translate, sign and send a chat request as the gateway does; return status and answer."""
    calls = ConverseCalls(api_key=api_key, region="us-east-1", base_url=mock.url)
    document = ChatToConverse().request(chat)
    is_streaming = chat.get("stream") is True
    call = calls.prepare(chat["model"], document, is_streaming=is_streaming, now_us=10**15)
    named = {f"x-mock-{name.replace('_', '-')}": value for name, value in faults.items()}
    headers = {**call.headers, **named}
    async with (
        aiohttp.ClientSession() as session,
        session.post(call.url, data=call.body, headers=headers) as reply,
    ):
        return reply.status, reply.headers.get("x-amzn-ErrorType", ""), await reply.read()


CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello heron"}]}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("api_key", [PAIR, "bedrock-api-key-YWJj"])
async def test_our_translation_there_and_back(mock: MockServer, api_key: str) -> None:
    status, _, body = await send(mock, CHAT, api_key)
    assert status == 200
    document = ChatToConverse(lambda: 7).answer(orjson.loads(body), CHAT)
    whole = ChatCompletion.model_validate(document)
    assert whole.created == 7
    status, _, body = await send(mock, STREAM, api_key)
    stream = ChatToConverse().stream(STREAM)
    state = ChatCompletionStreamState()
    for event in stream.feed(body).split(b"\n\n")[:-2]:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(event[6:]))
    streamed = state.get_final_completion()
    assert stream.is_done
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert streamed.usage == whole.usage


@pytest.mark.parametrize("api_key", ["sk-invalid-key", ""])
async def test_a_credential_is_needed(mock: MockServer, api_key: str) -> None:
    status, name, body = await send(mock, CHAT, api_key)
    assert (status, name) == (403, "AccessDeniedException")
    assert ChatToConverse().error(orjson.loads(body)) is not None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "messages"),
        ({"messages": [{"role": "robot", "content": [{"text": "x"}]}]}, "role"),
        ({"messages": [{"role": "user", "content": "x"}]}, "content"),
        ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "blank"),
        ({"messages": ASK["messages"], "inferenceConfig": []}, "inferenceConfig"),
        ({"messages": ASK["messages"], "toolConfig": {"tools": 1}}, "tools"),
        ({"messages": ASK["messages"], "system": "s"}, "system"),
    ],
)
async def test_malformed_requests_are_refused(
    mock: MockServer, document: dict[str, Any], message: str
) -> None:
    async with mock.http.post(f"{mock.url}/model/m/converse", json=document) as reply:
        assert reply.status == 400
        assert reply.headers["x-amzn-ErrorType"] == "ValidationException"
        assert message in (await reply.json())["message"]


async def test_faults_in_bedrocks_shapes(mock: MockServer) -> None:
    status, name, body = await send(mock, CHAT, status="429", retry_after="2")
    assert (status, name) == (429, "ThrottlingException")
    _, _, body = await send(mock, STREAM, garbage="error-event")
    stream = ChatToConverse().stream(STREAM)
    assert b'"code":"InternalServerException"' in stream.feed(body)
    assert not stream.is_done
    _, _, body = await send(mock, STREAM, garbage="no-done")
    stream = ChatToConverse().stream(STREAM)
    assert b"[DONE]" not in stream.feed(body)
    _, _, body = await send(mock, STREAM, garbage="no-usage")
    stream = ChatToConverse().stream(STREAM)
    stream.feed(body)
    assert stream.is_done
    assert stream.usage is None
    _, _, body = await send(mock, STREAM, garbage="broken-json")
    with pytest.raises(CorruptStreamError):
        EventStreamDecoder().feed(body)
    with pytest.raises(aiohttp.ClientError):
        await send(mock, CHAT, cut_after_tokens="2")
    with pytest.raises(aiohttp.ClientError):
        await send(mock, STREAM, cut_after_tokens="2")
    lines = await mock.bill_when(lambda lines: len(lines) == 6)
    assert [line["complete"] for line in lines] == [False, False, True, False, False, False]
    assert lines[-1]["output_tokens"] == 2


async def test_boto3_raises_what_a_stream_raises(amazon: Any) -> None:

    def fault(request: Any, **_: Any) -> None:
        request.headers["x-mock-garbage"] = "error-event"

    amazon.meta.events.register("before-send.bedrock-runtime.ConverseStream", fault)

    with pytest.raises(EventStreamError, match="Simulated"):
        await asyncio.to_thread(read_stream, amazon)
