"""The scripted upstream does what its script says, and sees what its callers do."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from openai import APIConnectionError, APIError, AsyncOpenAI, BadRequestError, RateLimitError

from tests.fault_replies import (
    Reply,
    accept_then_close,
    accept_then_reset,
    bad_request,
    broken_json,
    chat_events,
    close_without_answer,
    content_filtered,
    cut_at_byte,
    cut_json,
    cut_stream,
    embedding_document,
    empty_200,
    endless_body,
    html_200,
    http_error,
    huge_headers,
    not_http,
    ok_json,
    ok_stream,
    redirect,
    refused_url,
    reset,
    silence,
    silent_stream,
    stream_with_error,
    stream_without_done,
    wrong_schema,
)
from tests.fault_upstream import FaultUpstream

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi."}]}


@pytest.fixture
async def up() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as upstream:
        yield upstream


@pytest.fixture
async def client(up: FaultUpstream) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=up.url, api_key="sk-test", max_retries=0) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def read(http: aiohttp.ClientSession, up: FaultUpstream) -> bytes:
    url = f"{up.url}/chat/completions"
    async with http.post(url, json=BODY, allow_redirects=False) as reply:
        return await reply.read()


async def stream_text(client: AsyncOpenAI) -> str:
    stream = await client.chat.completions.create(**BODY, stream=True)  # type: ignore[call-overload]
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    return "".join(pieces)


async def test_replies_come_in_order_then_the_fallback(
    up: FaultUpstream, client: AsyncOpenAI
) -> None:
    up.script(http_error(429, retry_after="1"), bad_request())
    with pytest.raises(RateLimitError) as limited:
        await client.chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert limited.value.response.headers["retry-after"] == "1"
    with pytest.raises(BadRequestError):
        await client.chat.completions.create(**BODY)  # type: ignore[call-overload]
    answer = await client.chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert answer.choices[0].message.content == "Scripted answer."
    assert [call.json()["model"] for call in up.calls] == ["gpt-4o"] * 3
    assert up.calls[0].headers["authorization"] == "Bearer sk-test"
    assert (up.calls[0].method, up.calls[0].path) == ("POST", "/v1/chat/completions")
    assert up.connections == 1
    assert all(call.is_answered for call in up.calls)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("piece_bytes", [None, 1, 7])
async def test_streams_in_every_framing(
    up: FaultUpstream, client: AsyncOpenAI, line_end: str, piece_bytes: int | None
) -> None:
    events = [b": a comment\n\n", *chat_events(["Grüße ", "🦩"])]
    up.script(ok_stream(events, line_end=line_end, piece_bytes=piece_bytes))
    assert await stream_text(client) == "Grüße 🦩"


async def test_a_stream_takes_its_time(up: FaultUpstream, client: AsyncOpenAI) -> None:
    up.script(ok_stream(delay_s=0.02))
    started = asyncio.get_running_loop().time()
    await stream_text(client)
    assert asyncio.get_running_loop().time() - started >= 0.09


@pytest.mark.parametrize(
    "reply",
    [
        reset(),
        close_without_answer(),
        accept_then_close(),
        accept_then_reset(),
        cut_stream(after_events=2),
        cut_json(),
        cut_at_byte(ok_json(), 40),
        cut_at_byte(ok_stream(), 300),
        not_http(),
    ],
)
async def test_broken_connections(
    up: FaultUpstream, http: aiohttp.ClientSession, reply: Reply
) -> None:
    up.script(reply)
    # A client may try a dropped new connection again by itself: keep it from succeeding.
    up.fallback = reset()
    with pytest.raises(aiohttp.ClientError):
        await asyncio.wait_for(read(http, up), 5)


async def test_cut_at_every_byte(up: FaultUpstream, http: aiohttp.ClientSession) -> None:
    whole = len(ok_stream().head()) + sum(
        len(piece) + len(f"{len(piece):x}") + 4
        for piece in ok_stream().pieces
        if isinstance(piece, bytes)
    )
    for offset in range(1, whole, 41):
        up.script(cut_at_byte(ok_stream(), offset))
        with pytest.raises(aiohttp.ClientError):
            await read(http, up)
        assert up.calls[-1].sent_bytes == offset


@pytest.mark.parametrize("reply", [silence(), silent_stream(), silent_stream(after_events=2)])
async def test_silence_lasts_until_the_caller_leaves(
    up: FaultUpstream, http: aiohttp.ClientSession, reply: Reply
) -> None:
    up.script(reply)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(http, up), 0.1)
    call = await up.wait_for_leaving()
    assert call.left_at is not None
    assert call.left_at >= call.at
    assert not call.is_answered


async def test_a_left_stream_is_noticed(up: FaultUpstream, client: AsyncOpenAI) -> None:
    up.script(ok_stream(delay_s=0.05))
    stream = await client.chat.completions.create(**BODY, stream=True)  # type: ignore[call-overload]
    await anext(stream)
    await stream.close()
    await up.wait_for_leaving()


async def test_endless_body_ends_with_its_caller(
    up: FaultUpstream, http: aiohttp.ClientSession
) -> None:
    up.script(endless_body())
    async with http.post(up.url) as reply:
        await reply.content.readexactly(1 << 20)
    assert (await up.wait_for_leaving()).sent_bytes >= 1 << 20


async def test_streams_that_end_wrong(up: FaultUpstream, client: AsyncOpenAI) -> None:
    up.script(stream_without_done(), stream_with_error())
    assert await stream_text(client) == "Scripted answer."
    with pytest.raises(APIError, match="Scripted stream error"):
        await stream_text(client)


async def test_two_hundreds_that_are_no_answers(
    up: FaultUpstream, http: aiohttp.ClientSession
) -> None:
    up.script(html_200(), empty_200(), broken_json(), wrong_schema(), redirect("http://x/"))
    bodies = [await read(http, up) for _ in range(5)]
    assert bodies[0].startswith(b"<!doctype html>")
    assert bodies[1] == bodies[4] == b""
    assert not bodies[2].endswith(b"}")
    assert b"choices" in bodies[3]


async def test_huge_headers(up: FaultUpstream, http: aiohttp.ClientSession) -> None:
    up.script(huge_headers())
    with pytest.raises(aiohttp.ClientError):
        await read(http, up)


async def test_embeddings_and_filter(up: FaultUpstream, client: AsyncOpenAI) -> None:
    up.script(ok_json(embedding_document()), content_filtered())
    answer = await client.embeddings.create(model="m", input="a", encoding_format="float")
    assert answer.data[0].embedding == [0.25, -0.5]
    with pytest.raises(BadRequestError) as caught:
        await client.chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert caught.value.code == "content_filter"


async def test_chunked_request_bodies(up: FaultUpstream, http: aiohttp.ClientSession) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"a":'
        yield b"1}"

    async with http.post(up.url, data=parts()) as reply:
        assert reply.status == 200
    assert up.calls[0].json() == {"a": 1}


async def test_refused() -> None:
    async with AsyncOpenAI(base_url=refused_url(), api_key="k", max_retries=0) as client:
        with pytest.raises(APIConnectionError):
            await client.models.list()


async def test_waiting_has_a_deadline(up: FaultUpstream) -> None:
    with pytest.raises(TimeoutError):
        await up.wait_for_calls(1, timeout_s=0.05)
