"""The life of a request through the real proxy: answers, cache, coalescing, bad input."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import ClientSession

from config.operator import Limits
from tests import fault_replies as replies
from tests.fault_replies import ANSWER
from tests.fault_upstream import FaultUpstream
from tests.proxy.calls import CACHED, HELLO, delayed, stream_text, treated_user
from tests.proxy_gateway import API_KEY, OTHER_KEY, ProxyGateway, local_upstream

# --- plain answers


async def test_a_document_is_relayed_byte_for_byte(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    document = replies.chat_document(novel_field={"kept": True}, system_fingerprint="fp_1")
    upstream.script(replies.json_reply(document, headers=(("x-request-id", "up-1"),)))
    raw = await client.chat.completions.with_raw_response.create(
        **HELLO, extra_body={"novel_parameter": [1, {"deep": None}]}
    )
    assert raw.http_response.json() == document
    assert raw.headers["x-request-id"] == "up-1"
    assert raw.headers["x-apex-model"] == "gpt-4o"
    sent = upstream.calls[0]
    assert sent.json()["novel_parameter"] == [1, {"deep": None}]
    assert sent.headers["authorization"] == "Bearer sk-upstream-secret"
    assert API_KEY not in str(sent.headers)
    assert not [name for name in sent.headers if name.startswith("x-stainless")]
    assert sent.headers["x-client-request-id"] == raw.headers["x-apex-request-id"] + ".1"
    [end] = gateway.ends(raw.headers["x-apex-request-id"])
    assert (end["input_tokens"], end["output_tokens"]) == (9, 4)
    assert end["outcome"] == "ok"


async def test_a_stream_is_relayed_and_an_unasked_usage_chunk_left_out(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    upstream.script(replies.ok_stream())
    chunks = [c async for c in await client.chat.completions.create(stream=True, **HELLO)]
    assert all(chunk.choices for chunk in chunks)
    assert upstream.calls[0].json()["stream_options"] == {"include_usage": True}
    [end] = gateway.ends()
    assert (end["usage_source"], end["input_tokens"]) == ("provider", 9)


async def test_a_usage_chunk_that_was_asked_for_arrives(
    client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    upstream.script(replies.ok_stream())
    options: Any = {"include_usage": True}
    stream = await client.chat.completions.create(stream=True, stream_options=options, **HELLO)
    last = [chunk async for chunk in stream][-1]
    assert last.usage is not None
    assert last.usage.total_tokens == 13


@pytest.mark.parametrize("piece_bytes", [1, 7, None])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_any_chunking_gives_the_same_stream(
    client: openai.AsyncOpenAI, upstream: FaultUpstream, piece_bytes: int | None, line_end: str
) -> None:
    events = replies.chat_events(["Grüße ", "🙂 ", "你好"])
    upstream.script(replies.ok_stream(events, piece_bytes=piece_bytes, line_end=line_end))
    assert await stream_text(client, **HELLO) == "Grüße 🙂 你好"


async def test_embeddings_pass_in_base64_and_are_cached(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    upstream.script(replies.json_reply(replies.embedding_document()))
    ask: dict[str, Any] = {
        "model": "text-embedding-3-small",
        "input": "hello",
        "user": treated_user(gateway),
    }
    for _ in range(2):
        answer = await client.embeddings.create(**ask, encoding_format="float")
        assert answer.data[0].embedding == [0.25, -0.5]
    assert len(upstream.calls) == 1


# --- cache and coalescing


async def test_a_repeated_deterministic_call_is_a_hit_in_both_forms(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    body = CACHED | {"user": treated_user(gateway)}
    upstream.script(replies.ok_stream())
    assert await stream_text(client, **body) == ANSWER
    raw = await client.chat.completions.with_raw_response.create(**body)
    assert raw.headers["x-apex-cache"] == "hit"
    assert raw.parse().choices[0].message.content == ANSWER
    assert await stream_text(client, **body) == ANSWER
    assert len(upstream.calls) == 1
    hits = [end for end in gateway.ends() if end["cache"] == "hit"]
    assert [end["usage_source"] for end in hits] == ["cache", "cache"]
    assert all(end["input_tokens"] == 9 for end in hits)


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"temperature": 0.7}, {}),
        ({"store": True}, {}),
        ({}, {"Cache-Control": "no-store"}),
        ({}, {"Cache-Control": "no-cache"}),
        ({}, {"x-apex-no-optimize": "1"}),
    ],
)
async def test_what_may_not_be_reused_is_asked_again(
    gateway: ProxyGateway,
    client: openai.AsyncOpenAI,
    upstream: FaultUpstream,
    change: dict[str, Any],
    headers: dict[str, str],
) -> None:
    body = CACHED | change | {"user": treated_user(gateway)}
    for _ in range(2):
        raw = await client.chat.completions.with_raw_response.create(**body, extra_headers=headers)
        assert raw.headers["x-apex-cache"] == "bypass"
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("reason", ["length", "content_filter", None])
async def test_an_unfinished_answer_is_never_kept(
    gateway: ProxyGateway,
    client: openai.AsyncOpenAI,
    upstream: FaultUpstream,
    reason: str | None,
) -> None:
    document = replies.chat_document()
    document["choices"][0]["finish_reason"] = reason
    upstream.script(replies.json_reply(document), replies.json_reply(document))
    for _ in range(2):
        await client.chat.completions.create(**CACHED, user=treated_user(gateway))
    assert len(upstream.calls) == 2


async def test_two_tenants_never_share_an_answer(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    await client.chat.completions.create(**CACHED, user=treated_user(gateway))
    other = client.with_options(api_key=OTHER_KEY)
    raw = await other.chat.completions.with_raw_response.create(
        **CACHED, user=treated_user(gateway)
    )
    assert raw.headers["x-apex-cache"] != "hit"
    assert len(upstream.calls) == 2


async def test_identical_calls_in_flight_are_one_upstream_call(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    upstream.script(delayed(replies.ok_json(), 0.3))
    body = CACHED | {"user": treated_user(gateway)}
    calls = [client.chat.completions.with_raw_response.create(**body) for _ in range(20)]
    answers = await asyncio.gather(*calls)
    assert len(upstream.calls) == 1
    outcomes = sorted(answer.headers["x-apex-cache"] for answer in answers)
    assert outcomes == ["coalesced"] * 19 + ["miss"]
    assert all(a.parse().choices[0].message.content == ANSWER for a in answers)


async def test_followers_of_a_failed_leader_go_on(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    upstream.script(delayed(replies.bad_request(), 0.3))
    body = CACHED | {"user": treated_user(gateway)}
    calls = [client.chat.completions.create(**body) for _ in range(5)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, openai.BadRequestError) for result in results) == 1
    assert len(upstream.calls) == 2


async def test_an_idempotency_key_answers_once(
    client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    keyed = {"Idempotency-Key": "order-17"}
    for _ in range(2):
        await client.chat.completions.create(**HELLO, extra_headers=keyed)
    assert len(upstream.calls) == 1
    with pytest.raises(openai.UnprocessableEntityError):
        await client.chat.completions.create(**HELLO, max_tokens=5, extra_headers=keyed)


# --- bad input


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b'{"model": 7}', 400, "invalid_request"),
        (b'{"model": "gpt-4o-mini", "messages": "x"}', 400, "invalid_request"),
        (b'{"model": "gpt-4o-mini", "messages": [7]}', 400, "invalid_request"),
        (b'{"model": "gpt-4o-minni", "messages": [{"role": "user"}]}', 404, "model_not_found"),
        (b"\xff\xfe{}", 400, "invalid_request"),
        (b'{"model":"gpt-4o-mini","messages":[{"role":"user"}],"stream":1}', 400, None),
        (b'{"model":"gpt-4o-mini","messages":[{"role":"user"}],"n":0}', 400, None),
        (b'{"model":"gpt-4o-mini","messages":[{"role":"user"}],"api_base":"x"}', 400, None),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400, "invalid_request"),
    ],
)
async def test_bad_input_gets_a_clear_error_and_is_recorded(
    gateway: ProxyGateway, upstream: FaultUpstream, body: bytes, status: int, code: str | None
) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    url = f"{gateway.base_url}/chat/completions"
    async with ClientSession(headers=headers) as session, session.post(url, data=body) as response:
        document = await response.json()
    assert response.status == status
    assert document["error"]["code"] == (code or "invalid_request")
    assert document["error"]["message"]
    assert upstream.calls == []
    [end] = gateway.ends()
    assert (end["outcome"], end["client_status"]) == ("refused", status)


async def test_an_unknown_model_names_its_neighbours(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="gpt-4o-mini"):
        await client.chat.completions.create(**HELLO | {"model": "gpt-4o-mni"})


async def test_a_body_over_the_cap_is_refused_and_the_process_lives(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstreams = {"first": local_upstream("first", upstream.url)}
    limits = Limits(max_body_bytes=1_048_576)
    async with ProxyGateway(tmp_path, upstreams, limits=limits) as gateway:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with ClientSession(headers=headers) as session:
            url = f"{gateway.base_url}/chat/completions"
            for data in (b"x" * 2_000_000, _pieces(2_000_000)):
                async with session.post(url, data=data) as response:
                    assert response.status == 413
                    assert (await response.json())["error"]["code"] == "request_too_large"
            async with session.post(url, json=HELLO) as response:
                assert response.status == 200
        gateway.check_conservation()
        assert [end["outcome"] for end in gateway.ends()] == ["refused", "refused", "ok"]


async def _pieces(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 10_000):
        yield b"x" * 10_000


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {API_KEY}"},
        {"x-api-key": "é"},
        {"api-key": API_KEY[:-1]},
    ],
)
async def test_an_unknown_key_is_refused_before_the_body_is_read(
    gateway: ProxyGateway, headers: dict[str, str]
) -> None:
    url = f"{gateway.base_url}/chat/completions"
    async with ClientSession(headers=headers) as session, session.post(url, data=b"{") as response:
        assert response.status == 401
        assert (await response.json())["error"]["code"] == "invalid_api_key"
    assert gateway.events() == []


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": f"Bearer {API_KEY}"}, {"api-key": API_KEY}, {"x-api-key": API_KEY}],
)
async def test_the_key_is_read_from_three_headers(
    gateway: ProxyGateway, headers: dict[str, str]
) -> None:
    url = f"{gateway.base_url}/models"
    async with ClientSession(headers=headers) as session, session.get(url) as response:
        names = [model["id"] for model in (await response.json())["data"]]
    assert names == ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]


async def test_concurrency_caps_answer_429_and_503(tmp_path: Path, upstream: FaultUpstream) -> None:
    upstreams = {"first": local_upstream("first", upstream.url)}
    limits = Limits(max_concurrent_requests=2, max_concurrent_per_key=1)
    upstream.fallback = delayed(replies.ok_json(), 0.5)
    async with (
        ProxyGateway(tmp_path, upstreams, limits=limits) as gateway,
        openai.AsyncOpenAI(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as client,
    ):
        calls = [client.chat.completions.create(**HELLO) for _ in range(4)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(r, openai.RateLimitError) for r in results) == 3
        gateway.check_conservation()
        assert len(gateway.ends()) == 4
