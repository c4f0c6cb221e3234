"""The routes: what is served, what says where else to go, and metrics that a scraper can read."""

import re

import orjson
import pytest
from aiohttp import ClientSession

from config.metrics_table import METRICS
from tests.gateway import wait_until
from tests.proxy.calls import AUTH, HELLO, get, post
from tests.proxy_gateway import ProxyGateway

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\})? (\d[\d.e+-]*|\+Inf)')
SUFFIXES = re.compile(r"_(bucket|sum|count)$")


@pytest.mark.parametrize(
    ("method", "path", "status", "hint"),
    [
        ("GET", "/v1/embeddings", 405, "docs/dialects.md"),
        ("DELETE", "/v1/messages", 405, "docs/dialects.md"),
        ("DELETE", "/v1/models", 405, "docs/dialects.md"),
        ("OPTIONS", "/v1/models", 405, "docs/dialects.md"),
        ("POST", "/v1beta/models/m:think", 404, "docs/dialects.md"),
        ("POST", "/v1/models/m:think", 404, "docs/dialects.md"),
        ("POST", "/chat/completions", 404, "base_url of a client must end in /v1"),
        ("GET", "/admin/v1/usage", 404, "docs/dialects.md"),
        ("GET", "/", 404, "docs/dialects.md"),
    ],
)
async def test_an_unknown_route_says_which_there_are(
    gateway: ProxyGateway,
    session: ClientSession,
    method: str,
    path: str,
    status: int,
    hint: str,
) -> None:
    found, headers, body = await get(session, gateway, path, method=method, headers=AUTH)
    error = orjson.loads(body)["error"]
    assert (found, error["code"]) == (status, "unknown_route")
    assert error["type"] == "invalid_request_error"
    assert headers["x-apex-request-id"].startswith("req_")
    assert hint in error["message"]
    assert headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/models", "/v1/models/gpt-4o", "/else"])
async def test_strangers_learn_nothing(
    gateway: ProxyGateway, session: ClientSession, path: str
) -> None:
    status, _, body = await get(session, gateway, path)
    assert (status, orjson.loads(body)["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4o"])
async def test_head_is_get_without_a_body(
    gateway: ProxyGateway, session: ClientSession, path: str
) -> None:
    status, headers, whole = await get(session, gateway, path, headers=AUTH)
    assert status == 200
    found = await get(session, gateway, path, method="HEAD", headers=AUTH)
    assert (found[0], found[2]) == (200, b"")
    assert found[1]["Content-Length"] == headers["Content-Length"] == str(len(whole))


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_googles_clients_are_answered_in_both_versions_of_its_api(
    gateway: ProxyGateway, session: ClientSession, version: str
) -> None:
    headers = {"x-goog-api-key": AUTH["Authorization"].removeprefix("Bearer ")}
    status, _, body = await get(session, gateway, f"/{version}/models", headers=headers)
    assert status == 200
    assert "models/gpt-4o-mini" in [model["name"] for model in orjson.loads(body)["models"]]
    path = f"/{version}/models/gemini-of-nobody:generateContent"
    ask = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    status, _, body = await get(session, gateway, path, method="POST", headers=headers, json=ask)
    error = orjson.loads(body)["error"]
    assert (status, error["status"]) == (404, "NOT_FOUND")


async def test_an_unknown_model_is_a_404_in_the_callers_shape(
    gateway: ProxyGateway, session: ClientSession
) -> None:
    status, _, body = await get(session, gateway, "/v1/models/gpt-4o-mni", headers=AUTH)
    error = orjson.loads(body)["error"]
    assert (status, error["code"]) == (404, "model_not_found")
    assert "gpt-4o-mini" in error["message"]


async def test_metrics_are_lines_a_scraper_can_read(
    gateway: ProxyGateway, session: ClientSession
) -> None:
    """Exposition format 0.0.4: each sample belongs to a family declared above it."""
    await post(session, gateway, HELLO)
    await post(session, gateway, HELLO | {"model": 'un"heard\\of'})

    async def text() -> str:
        status, headers, body = await get(session, gateway, "/health/metrics")
        assert status == 200
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return body.decode()

    async def has_gauges() -> bool:  # they are set by each second's tick
        return "apex_snapshot_number 1\n" in await text()

    await wait_until(has_gauges)
    kinds: dict[str, str] = {}
    for line in (found := await text()).splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            kinds[family] = kind
        elif not line.startswith("# HELP "):
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert sample[1] in kinds or SUFFIXES.sub("", sample[1]) in kinds, line
    assert kinds == {family.name: str(family.kind) for family in METRICS}
    assert found.endswith("\n")
    assert re.search(r'^apex_requests_total\{.*outcome="ok".*\} 1$', found, re.MULTILINE)
    assert re.search(r'^apex_refused_total\{code="model_not_found"\} 1$', found, re.MULTILINE)
