"""The mock's realtime sessions, as openai-python sees them, over a real WebSocket."""

from typing import Any

import aiohttp
import orjson
import pytest
from openai import AsyncAzureOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.proxy.providers.mock.server import MockServer

MODEL = "gpt-4o-realtime-preview"
HELLO: Any = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "hello there"}],
}


async def until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """Receive events until one of the kind came, or an error."""
    events: list[Any] = []
    while not events or events[-1].type not in {kind, "error"}:
        events.append(await connection.recv())
    return events


async def say_hello(connection: AsyncRealtimeConnection) -> None:
    await until(connection, "session.created")
    await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
    (updated,) = await until(connection, "session.updated")
    assert updated.session.output_modalities == ["text"]
    await connection.conversation.item.create(item=HELLO)
    added, done = await until(connection, "conversation.item.done")
    assert added.item.id == done.item.id


async def test_text_response(mock: MockServer) -> None:
    async with mock.client.realtime.connect(model=MODEL) as connection:
        await say_hello(connection)
        await connection.response.create()
        events = await until(connection, "response.done")
    kinds = [event.type for event in events]
    deltas = kinds.count("response.output_text.delta")
    assert [kind for kind in kinds if kind != "response.output_text.delta"] == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.added",
        "conversation.item.done",
        "response.done",
    ]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    response = events[-1].response
    assert response.status == "completed"
    assert response.output[0].content[0].text == text
    assert response.usage.output_tokens == response.usage.output_token_details.text_tokens == deltas
    assert len({event.event_id for event in events}) == len(events)


async def test_each_response_is_one_line_on_the_bill(mock: MockServer) -> None:
    used: list[Any] = []
    headers = {"x-client-request-id": "call.1"}
    async with mock.client.realtime.connect(model=MODEL, extra_headers=headers) as connection:
        await say_hello(connection)
        assert await mock.get("/mock/bill") == []
        for number in (1, 2):
            await connection.response.create()
            used.append((await until(connection, "response.done"))[-1].response.usage)
            assert len(await mock.get("/mock/bill")) == number
    lines = await mock.bill_when(bool)
    assert used[1].input_tokens > used[0].input_tokens  # it reads its first answer, too
    for number, (line, usage) in enumerate(zip(lines, used, strict=True), 1):
        assert (line["input_tokens"], line["output_tokens"]) == (
            usage.input_tokens,
            usage.output_tokens,
        )
        cost = line["input_tokens"] * 5_000_000 + line["output_tokens"] * 20_000_000
        assert (line["id"], line["cost_picousd"]) == (f"call-{number}.1", cost)
        assert line["complete"]


async def test_audio_in_and_out(mock: MockServer) -> None:
    async with mock.client.realtime.connect(model=MODEL) as connection:
        await connection.input_audio_buffer.append(audio="QUJD" * 128)
        await connection.input_audio_buffer.commit()
        await until(connection, "conversation.item.done")
        await connection.response.create()
        events = await until(connection, "response.done")
    usage = events[-1].response.usage
    assert usage.input_token_details.audio_tokens == 2
    spoken = [event for event in events if event.type == "response.output_audio.delta"]
    assert usage.output_token_details.audio_tokens == 5 * len(spoken)
    (line,) = await mock.bill_when(bool)
    assert line["audio_input_tokens"] == 2
    assert line["audio_output_tokens"] == usage.output_token_details.audio_tokens


async def test_long_prompts_are_cached(mock: MockServer) -> None:
    async with mock.client.realtime.connect(model=MODEL) as connection:
        await connection.session.update(session={"type": "realtime", "instructions": "ab " * 2000})
        for _ in range(2):
            await connection.response.create()
            usage: Any = (await until(connection, "response.done"))[-1].response.usage
    assert usage.input_token_details.cached_tokens >= 1024
    line = (await mock.bill_when(lambda lines: len(lines) == 2))[-1]
    assert line["cache_read_tokens"] == usage.input_token_details.cached_tokens


async def test_errors_leave_the_session_open(mock: MockServer) -> None:
    hostile: list[Any] = [
        {"type": "no.such.event", "event_id": "mine"},
        {"type": 5},
        {"type": "session.update"},
        {"type": "session.update", "session": {"output_modalities": "x"}},
        {"type": "conversation.item.create", "item": {"type": []}},
        {"type": "conversation.item.delete", "item_id": {}},
        {"type": "input_audio_buffer.append", "audio": 1},
        {"type": "input_audio_buffer.commit"},
        {"type": "response.create", "response": 7},
        {"type": "response.cancel"},
        [1],
    ]
    async with mock.client.realtime.connect(model=MODEL) as connection:
        await until(connection, "session.created")
        for event in hostile:
            await connection.send_raw(orjson.dumps(event).decode())
            (error,) = await until(connection, "error")
            assert error.type == "error"
            assert error.error.message
        await connection.send_raw("{not json")
        assert (await connection.recv()).type == "error"
        await connection.response.create()
        assert (await until(connection, "response.done"))[-1].type == "response.done"


async def test_error_names_the_event(mock: MockServer) -> None:
    async with mock.client.realtime.connect(model=MODEL) as connection:
        await until(connection, "session.created")
        await connection.send_raw('{"type": "no.such.event", "event_id": "mine"}')
        error: Any = await connection.recv()
    assert (error.error.event_id, error.error.param) == ("mine", "type")


async def test_key_as_a_protocol(mock: MockServer) -> None:
    url = f"{mock.url}/v1/realtime?model={MODEL}"
    async with aiohttp.ClientSession() as session:
        protocols = ("realtime", "openai-insecure-api-key.sk-test")
        async with session.ws_connect(url, protocols=protocols) as socket:
            assert socket.protocol == "realtime"
            assert (await socket.receive_json())["type"] == "session.created"
        for refused in (("realtime",), ("realtime", "openai-insecure-api-key.sk-invalid")):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url, protocols=refused)
            assert caught.value.status == 401


async def test_refusals_before_the_socket(mock: MockServer) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await mock.http.ws_connect(f"{mock.url}/v1/realtime")
    assert caught.value.status == 400
    headers = {"x-mock-status": "503"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await mock.http.ws_connect(f"{mock.url}/v1/realtime?model=m", headers=headers)
    assert caught.value.status == 503
    async with mock.http.get(f"{mock.url}/v1/realtime?model=m") as reply:
        assert reply.status == 426


async def test_cut_session_is_billed_for_what_went_out(mock: MockServer) -> None:
    headers = {"x-mock-cut-after-tokens": "3", "x-mock-output-tokens": "9"}
    url = f"{mock.url}/v1/realtime?model={MODEL}"
    async with mock.http.ws_connect(url, headers=headers) as socket:
        await socket.send_json(
            {"type": "session.update", "session": {"output_modalities": ["text"]}}
        )
        await socket.send_json({"type": "response.create"})
        kinds = [message.json()["type"] async for message in socket]
    assert kinds.count("response.output_text.delta") == 3
    (line,) = await mock.bill_when(bool)
    assert (line["complete"], line["audio_output_tokens"]) == (False, 0)
    assert line["output_tokens"] == 3


async def test_azures_realtime(mock: MockServer) -> None:
    client = AsyncAzureOpenAI(
        azure_endpoint=mock.url,
        websocket_base_url=f"{mock.url.replace('http', 'ws')}/openai",
        api_key="sk-test",
        api_version="2025-04-01-preview",
    )
    async with client, client.realtime.connect(model=MODEL) as connection:
        created: Any = await connection.recv()
        assert created.session.model == MODEL
