"""Streams other than chat's go wrong as asked, and are billed for what went out."""

from typing import Any

import aiohttp
import pytest
from openai import APIError

from tests.proxy.providers.mock.server import MockServer

BODY: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": "x", "stream": True}
URL = "/v1/completions"


async def read(mock: MockServer, **headers: str) -> bytes:
    named = {f"x-mock-{name.replace('_', '-')}": value for name, value in headers.items()}
    async with mock.http.post(mock.url + URL, json=BODY, headers=named) as reply:
        return await reply.read()


async def test_whole_stream(mock: MockServer) -> None:
    assert (await read(mock)).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("garbage", ["no-done", "broken-json"])
async def test_spoilt_streams_are_billed_as_incomplete(mock: MockServer, garbage: str) -> None:
    data = await read(mock, garbage=garbage, output_tokens="5")
    assert data.endswith(b"data: [DONE]\n\n") == (garbage == "broken-json")
    (line,) = await mock.get("/mock/bill")
    assert (line["output_tokens"], line["complete"]) == (5, False)


async def test_error_event(mock: MockServer) -> None:
    client = mock.client.with_options(default_headers={"x-mock-garbage": "error-event"})
    chunks = aiter(await client.completions.create(**BODY))
    await anext(chunks)
    with pytest.raises(APIError, match="Simulated"):
        await anext(chunks)
    (line,) = await mock.bill_when(bool)
    assert (line["output_tokens"], line["complete"]) == (1, False)


async def test_cut_and_silence(mock: MockServer) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await read(mock, cut_after_tokens="0")
    timeout = aiohttp.ClientTimeout(total=0.3)
    async with aiohttp.ClientSession(headers=mock.http.headers, timeout=timeout) as hasty:
        headers = {"x-mock-silence-after-tokens": "2"}
        reply = await hasty.post(mock.url + URL, json=BODY, headers=headers)
        with pytest.raises(TimeoutError):
            await reply.read()
    cut, left = await mock.bill_when(lambda lines: len(lines) == 2)
    assert (cut["output_tokens"], cut["complete"]) == (0, False)
    assert (left["output_tokens"], left["complete"]) == (2, False)


async def test_silence_after_the_headers(mock: MockServer) -> None:
    headers = {"x-mock-silence": "headers"}
    async with mock.http.post(mock.url + URL, json=BODY, headers=headers) as reply:
        assert reply.status == 200
    (line,) = await mock.bill_when(bool)
    assert (line["output_tokens"], line["complete"]) == (0, False)
