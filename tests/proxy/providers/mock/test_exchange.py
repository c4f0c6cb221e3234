"""Every route opens alike: key, fault headers, bounded body, broken answers."""

import asyncio

import aiohttp
import pytest

from tests.proxy.providers.mock.server import MockServer

ROUTES = (
    ("POST", "/v1/completions"),
    ("POST", "/v1/moderations"),
    ("POST", "/v1/images/generations"),
    ("POST", "/v1/images/edits"),
    ("POST", "/v1/images/variations"),
    ("POST", "/v1/audio/speech"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/audio/translations"),
    ("GET", "/v1/files"),
    ("GET", "/v1/files/x/content"),
    ("POST", "/v1/uploads"),
    ("GET", "/v1/batches/x"),
    ("DELETE", "/v1/vector_stores/x"),
    ("POST", "/v1/vector_stores/x/files"),
    ("POST", "/v1/fine_tuning/jobs"),
    ("GET", "/v1/containers"),
    ("POST", "/v1/conversations/x/items"),
    ("GET", "/openai/files?api-version=1"),
    ("POST", "/openai/deployments/d/images/edits?api-version=1"),
    ("POST", "/openai/v1/audio/speech"),
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_keys_and_faults(mock: MockServer, method: str, path: str) -> None:
    url = mock.url + path
    async with mock.http.request(method, url, headers={"Authorization": ""}) as reply:
        assert reply.status == 401
    headers = {"x-mock-retry-after": "7", "x-mock-status": "429"}
    async with mock.http.request(method, url, headers=headers) as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
        assert (await reply.json())["error"]["code"] == "rate_limit_exceeded"
    with pytest.raises(aiohttp.ClientConnectionError):
        await mock.http.request(method, url, headers={"x-mock-reset": "1"})
    async with mock.http.request(method, url, headers={"x-mock-nonsense": "1"}) as reply:
        assert reply.status == 400
    assert await mock.get("/mock/bill") == []


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] == "POST"])
@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b'{"model": 5}', b"\xff\x00"])
async def test_hostile_bodies(mock: MockServer, method: str, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with mock.http.request(method, mock.url + path, data=body, headers=headers) as reply:
        assert reply.status in {400, 404}
        assert (await reply.json())["error"]["message"]


async def test_broken_answers(mock: MockServer) -> None:
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": "x"}
    url = f"{mock.url}/v1/completions"
    async with mock.http.post(url, json=body, headers={"x-mock-garbage": "no-usage"}) as reply:
        assert "usage" not in await reply.json()
    async with mock.http.post(url, json=body, headers={"x-mock-garbage": "broken-json"}) as reply:
        assert not (await reply.read()).endswith(b"}")
        assert reply.headers["x-request-id"].startswith("req_")
    whole, broken = await mock.get("/mock/bill")
    assert (whole["complete"], broken["complete"]) == (True, False)


async def test_latency(mock: MockServer) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    headers = {"x-mock-latency-ms": "60"}
    async with mock.http.get(f"{mock.url}/v1/files", headers=headers) as reply:
        assert reply.status == 200
    assert loop.time() - started >= 0.06
