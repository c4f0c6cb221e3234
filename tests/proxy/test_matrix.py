"""The table of dialects, cell by cell: every inbound dialect at every family the mock can play.

docs/dialects.md is made from the same table. The cells of the litellm family are tested with
litellm itself (tests/proxy/providers/test_litellm_door.py).
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from policies.snapshot import Upstream
from proxy.dialects.table import DIALECTS
from proxy.providers.compatible import COMPATIBLE
from proxy.providers.families import FAMILIES
from proxy.providers.matrix import HINTS, WAYS, way_of
from tests.proxy.mock_gateway import MODELS, PLAYS, MockGateway, mock_gateway
from tests.proxy.samples import upstream
from tests.proxy_gateway import API_KEY

TEXT = "Tell me about herons."
TURNS = [{"role": "user", "content": TEXT}]
CONTENT = {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]}
# dialect -> (path, body); {model} in a path is the model's name.
ASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": TURNS}),
    "embeddings": ("/v1/embeddings", {"input": TEXT}),
    "responses": ("/v1/responses", {"input": TEXT, "store": False}),
    "input_tokens": ("/v1/responses/input_tokens", {"input": TEXT}),
    "completions": ("/v1/completions", {"prompt": TEXT}),
    "messages": ("/v1/messages", {"messages": TURNS, "max_tokens": 4000}),
    "count_tokens": ("/v1/messages/count_tokens", {"messages": TURNS}),
    "gemini": ("/v1beta/models/{model}:generateContent", CONTENT),
    "gemini_count": ("/v1beta/models/{model}:countTokens", CONTENT),
    "gemini_embed": ("/v1beta/models/{model}:embedContent", {"content": CONTENT["contents"][0]}),
    "gemini_batch_embed": (
        "/v1beta/models/{model}:batchEmbedContents",
        {"requests": [{"content": CONTENT["contents"][0]}]},
    ),
}
# What the last event of a stream must hold.
STREAM_ENDS = {
    "chat": b"data: [DONE]",
    "completions": b"data: [DONE]",
    "responses": b'"type":"response.completed"',
    "messages": b'"type":"message_stop"',
    "gemini": b'"finishReason"',
}
HEADERS = {"x-api-key": API_KEY, "anthropic-version": "2023-06-01"}


@pytest.fixture
async def mock(tmp_path: Path) -> AsyncIterator[MockGateway]:
    async with mock_gateway(tmp_path) as running:
        yield running


async def ask(
    mock: MockGateway, endpoint: str, play: str, *, is_streaming: bool = False
) -> tuple[int, dict[str, str], bytes]:
    path, body = ASKS[endpoint]
    model = "gemini-embedding-001" if (endpoint, play) == ("embeddings", "gemini") else MODELS[play]
    url = mock.root + path.format(model=model)
    if is_streaming and endpoint == "gemini":
        url = url.replace(":generateContent", ":streamGenerateContent?alt=sse")
    elif is_streaming:
        body = {**body, "stream": True}
    if "requests" in body:
        body = {"requests": [{**each, "model": f"models/{model}"} for each in body["requests"]]}
    if "{model}" not in path:
        body = {**body, "model": model}
    async with mock.http.post(url, json=body, headers=HEADERS) as reply:
        return reply.status, dict(reply.headers), await reply.read()


@pytest.mark.parametrize("play", PLAYS)
async def test_every_cell_is_what_the_table_says(mock: MockGateway, play: str) -> None:
    for endpoint, dialect in DIALECTS.items():
        cell = f"{endpoint} at {play}"
        way = WAYS[endpoint, play]  # type: ignore[index]
        status, headers, body = await ask(mock, endpoint, play)
        document = orjson.loads(body)
        end = await mock.end_of(headers["x-apex-request-id"])
        if way.action == "refuse":
            assert status == 400, cell
            message = document["error"]["message"]
            assert HINTS[endpoint] in message, cell
            assert (end["outcome"], end["upstream"]) == ("refused", ""), cell
            continue
        assert status == 200, (cell, body)
        facts = dialect.read_answer(document)
        assert (end["outcome"], end["upstream"]) == ("ok", play), cell
        assert end["finish_reasons"] == facts.finish_reasons, cell
        await check_bill(mock, end, cell)


@pytest.mark.parametrize("play", PLAYS)
async def test_every_stream_ends_as_its_dialect_does(mock: MockGateway, play: str) -> None:
    for endpoint, last in STREAM_ENDS.items():
        cell = f"{endpoint} at {play}"
        if WAYS[endpoint, play].action == "refuse":  # type: ignore[index]
            continue
        status, headers, body = await ask(mock, endpoint, play, is_streaming=True)
        assert status == 200, (cell, body)
        assert headers["Content-Type"].startswith("text/event-stream"), cell
        *_, final = body.strip().split(b"\n\n")
        assert last in final.replace(b'": "', b'":"'), (cell, final)
        end = await mock.end_of(headers["x-apex-request-id"])
        assert (end["outcome"], end["upstream"], end["is_streaming"]) == ("ok", play, True), cell
        await check_bill(mock, end, cell)


async def check_bill(mock: MockGateway, end: dict[str, Any], cell: str) -> None:
    """Assert that the tokens in the log are those on the provider's own bill."""
    lines = {line["id"]: line for line in await mock.bill()}
    line = lines.get(f"{end['request_id']}.{end['attempt']}")
    if end["usage_source"] == "none":
        assert line is None, cell
        return
    assert line is not None, cell
    if end["usage_source"] == "unknown":  # Google tells no usage of embeddings
        assert "embed" in cell
        return
    for name in ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens"):
        assert end[name] == line[name], (cell, name, end["provider_usage"])


def test_the_table_has_a_cell_for_everything() -> None:
    assert WAYS.keys() == {(endpoint, family) for endpoint in DIALECTS for family in FAMILIES}
    for (endpoint, family), way in WAYS.items():
        assert (way.action == "refuse") == bool(way.hint), (endpoint, family)
        assert (way.action == "translate") == (way.translator is not None), (endpoint, family)


def compatible(kind: str) -> Upstream:
    return upstream("u", "https://api.example.com/v1", kind=kind)


@pytest.mark.parametrize("kind", sorted(set(COMPATIBLE) - {"mock"}))
def test_a_compatible_server_gets_what_it_serves_and_the_rest_as_chat(kind: str) -> None:
    served = COMPATIBLE[kind].endpoints
    for endpoint in ("chat", "embeddings", "responses", "completions"):
        way = way_of(endpoint, compatible(kind))
        if endpoint in served:
            assert way.action == "relay", endpoint
        elif endpoint in {"responses", "completions"}:
            assert (way.action, way.path) == ("translate", "chat"), endpoint
        else:
            assert way.action == "refuse", endpoint
            assert kind in way.hint
    assert way_of("messages", compatible(kind)).path == "chat"
