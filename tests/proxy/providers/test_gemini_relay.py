"""A native Gemini stream relayed through the tap, as google-genai reads it on the other side."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from google import genai
from google.genai import errors, types

from proxy.providers.gemini_errors import gemini_error
from proxy.streaming.gemini_tap import GeminiTap
from tests.proxy.providers.mock.server import MockServer, running_mock

MODEL = "gemini-2.5-flash"


@pytest.fixture
async def mock(tmp_path: Path) -> AsyncIterator[MockServer]:
    async with running_mock(tmp_path / "bill.jsonl") as server:
        yield server


@asynccontextmanager
async def relaying(mock: MockServer, taps: list[GeminiTap]) -> AsyncIterator[genai.Client]:
    """Run a relay before the mock, and a Google client of it; each stream's tap is appended."""

    async def relay(http: web.Request) -> web.StreamResponse:
        tap = GeminiTap(keeps_bytes_limit=1_000_000)
        taps.append(tap)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        headers = {n: v for n, v in http.headers.items() if n.lower().startswith("x-")}
        url = f"{mock.url}{http.path_qs}"
        async with mock.http.post(url, data=await http.read(), headers=headers) as reply:
            async for chunk in reply.content.iter_any():
                await response.write(tap.feed(chunk))
        await response.write(tap.finish())
        if tap.is_done or tap.error is not None:
            await response.write(tap.held)
        return response

    async def refuse(http: web.Request) -> web.Response:
        return web.json_response(gemini_error(429, f"No budget for {http.path}."), status=429)

    app = web.Application()
    app.router.add_post("/{path:.+}:streamGenerateContent", relay)
    app.router.add_post("/{path:.+}:generateContent", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=url))
        yield client
        await client.aio.aclose()
    finally:
        await runner.cleanup()


async def test_relayed_stream_is_the_providers(mock: MockServer) -> None:
    taps: list[GeminiTap] = []
    async with relaying(mock, taps) as client:
        stream = await client.aio.models.generate_content_stream(model=MODEL, contents="Herons?")
        chunks = [chunk async for chunk in stream]
    (tap,) = taps
    assert tap.is_done
    assert tap.model == MODEL
    assert tap.finish_reasons == {0: "STOP"}
    last = chunks[-1]
    assert last.candidates is not None
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    (line,) = await mock.get("/mock/bill")
    assert tap.usage is not None
    assert tap.usage["candidatesTokenCount"] == line["output_tokens"]
    assert tap.usage["thoughtsTokenCount"] == line["reasoning_tokens"]
    assert tap.usage["promptTokenCount"] == line["input_tokens"]


async def test_our_own_error_is_googles_to_the_client(mock: MockServer) -> None:
    async with relaying(mock, []) as client:
        with pytest.raises(errors.ClientError, match="No budget") as caught:
            await client.aio.models.generate_content(model=MODEL, contents="Herons?")
    assert caught.value.code == 429
    assert caught.value.status == "RESOURCE_EXHAUSTED"
