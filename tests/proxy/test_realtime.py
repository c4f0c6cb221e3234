"""Realtime sessions through the gateway: relayed, billed response by response, ended in any way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import orjson
import pytest

from tests.gateway import wait_until
from tests.proxy.mock_gateway import MockGateway, mock_gateway
from tests.proxy_gateway import API_KEY

MODEL = "gpt-realtime"
AUTH = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture
async def mock(tmp_path: Path) -> AsyncIterator[MockGateway]:
    async with mock_gateway(tmp_path) as running:
        yield running


def ends_of(mock: MockGateway, source: str) -> list[dict[str, Any]]:
    return [end for end in mock.gateway.ends() if end["usage_source"] == source]


async def answer_once(connection: Any, text: str) -> Any:
    """Say something and wait for the end of the answer; returns the finished response."""
    part = {"type": "input_text", "text": text}
    item = {"type": "message", "role": "user", "content": [part]}
    await connection.conversation.item.create(item=item)
    await connection.response.create()
    async for event in connection:
        if event.type == "response.done":
            return event.response
    raise AssertionError("the session ended before the answer")


async def test_each_response_is_billed_before_its_last_event_arrives(mock: MockGateway) -> None:
    client = openai.AsyncOpenAI(
        base_url=mock.gateway.base_url, api_key=API_KEY, websocket_base_url=ws(mock)
    )
    async with client, client.realtime.connect(model=MODEL) as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        for number in (1, 2):
            response = await answer_once(connection, f"hello {number}")
            counted = ends_of(mock, "provider")
            assert len(counted) == number
            assert counted[-1]["input_tokens"] == response.usage.input_tokens
            assert counted[-1]["output_tokens"] == response.usage.output_tokens
    await wait_until(lambda: bool(ends_of(mock, "none")))
    (session,) = ends_of(mock, "none")
    assert (session["outcome"], session["endpoint"]) == ("ok", "realtime")
    lines = {line["id"]: line for line in await mock.bill()}
    for end in ends_of(mock, "provider"):
        line = lines[f"{end['request_id']}.{end['attempt']}"]
        assert (line["input_tokens"], line["output_tokens"]) == (
            end["input_tokens"],
            end["output_tokens"],
        )
        assert end["request_id"].startswith(session["request_id"])
        assert end["requested_model"] == MODEL


def ws(mock: MockGateway) -> str:
    return mock.gateway.base_url.replace("http", "ws")


async def test_a_browser_sends_its_key_as_a_sub_protocol(mock: MockGateway) -> None:
    protocols = ("realtime", f"openai-insecure-api-key.{API_KEY}")
    url = f"{ws(mock)}/realtime?model={MODEL}"
    async with mock.http.ws_connect(url, protocols=protocols) as socket:
        assert socket.protocol == "realtime"
        assert (await socket.receive_json())["type"] == "session.created"


async def test_a_response_cut_off_ends_as_unknown(mock: MockGateway) -> None:
    headers = {**AUTH, "x-mock-cut-after-tokens": "3", "x-mock-output-tokens": "9"}
    url = f"{ws(mock)}/realtime?model={MODEL}"
    async with mock.http.ws_connect(url, headers=headers) as socket:
        await socket.send_json(
            {"type": "session.update", "session": {"output_modalities": ["text"]}}
        )
        await socket.send_json({"type": "response.create"})
        async for _ in socket:
            pass
    await wait_until(lambda: bool(ends_of(mock, "unknown")))
    (cut,) = ends_of(mock, "unknown")
    assert (cut["outcome"], cut["error_code"]) == ("truncated", "session_ended")


async def test_a_caller_who_leaves_ends_the_session_upstream(mock: MockGateway) -> None:
    url = f"{ws(mock)}/realtime?model={MODEL}"
    async with mock.http.ws_connect(url, headers=AUTH) as socket:
        await socket.receive_json()
    await wait_until(lambda: bool(ends_of(mock, "none")))


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?model=gpt-realtime", {}, 401),
        ("", AUTH, 400),
        ("?model=gpt-realtime", {**AUTH, "x-mock-status": "500"}, 500),
        ("?model=gpt-realtime", {**AUTH, "x-mock-status": "429"}, 429),
    ],
)
async def test_what_fails_before_the_upgrade_is_an_ordinary_error(
    mock: MockGateway, query: str, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await mock.http.ws_connect(f"{ws(mock)}/realtime{query}", headers=headers)
    assert caught.value.status == status


async def test_plain_http_is_told_to_upgrade(mock: MockGateway) -> None:
    url = f"{mock.gateway.base_url}/realtime?model={MODEL}"
    async with mock.http.get(url, headers=AUTH) as reply:
        assert reply.status == 426
        assert orjson.loads(await reply.read())["error"]["code"] == "upgrade_required"


async def test_large_messages_pass_whole(mock: MockGateway) -> None:
    url = f"{ws(mock)}/realtime?model={MODEL}"
    async with mock.http.ws_connect(url, headers=AUTH) as socket, asyncio.timeout(20):
        await socket.receive_json()
        audio = "QUJD" * 200_000
        await socket.send_json({"type": "input_audio_buffer.append", "audio": audio})
        await socket.send_json({"type": "input_audio_buffer.commit"})
        kinds = []
        while "conversation.item.done" not in kinds:
            kinds.append((await socket.receive_json())["type"])
