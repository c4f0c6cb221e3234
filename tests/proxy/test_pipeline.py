"""The life of a request through the real proxy, with the official client and a scripted upstream.

Rows 11-16 of the fault table: 429, 5xx, connection faults, deadlines, cut streams, bad answers.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import ClientSession

from config.clock import Clock
from config.operator import Limits, Timeouts
from config.secrets import load_key_ring
from policies.snapshot import Target
from proxy.live import SnapshotHolder
from tests import fault_replies as replies
from tests.fault_replies import ANSWER, Reply
from tests.fault_upstream import FaultUpstream
from tests.proxy_gateway import API_KEY, OTHER_KEY, ProxyGateway, local_upstream, wait_until

QUICK = Timeouts(connect_s=1, first_token_s=0.5, idle_s=0.5, total_s=3, stream_headers_s=0.2)
HELLO: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "hello"}],
}
STARTED = replies.chat_events()[:2]
STREAM_ERROR = {"error": {"message": "Scripted.", "type": "server_error", "code": None}}
CACHED = HELLO | {"temperature": 0}


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as server:
        yield server


@pytest.fixture
async def second() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as server:
        yield server


@pytest.fixture
async def gateway(
    tmp_path: Path, upstream: FaultUpstream, second: FaultUpstream
) -> AsyncIterator[ProxyGateway]:
    """Two upstreams: gpt-4o-mini has only the first, gpt-4o both."""
    upstreams = {
        "first": local_upstream("first", upstream.url),
        "second": local_upstream("second", second.url),
    }
    models = {
        "gpt-4o-mini": (Target("first", "gpt-4o-mini"),),
        "gpt-4o": (Target("first", "gpt-4o"), Target("second", "house-4o")),
        "text-embedding-3-small": (Target("first", "text-embedding-3-small"),),
    }
    async with ProxyGateway(
        tmp_path, upstreams, models=models, policy="balanced", timeouts=QUICK
    ) as running:
        yield running
        await wait_until(lambda: len(running.ends()) * 2 == len(running.events()))
        running.check_conservation()


@pytest.fixture
async def client(gateway: ProxyGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=gateway.base_url, api_key=API_KEY, max_retries=0, timeout=20
    ) as made:
        yield made


async def stream_text(client: openai.AsyncOpenAI, **body: Any) -> str:
    text = ""
    async for chunk in await client.chat.completions.create(stream=True, **body):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
    return text


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
    options = {"include_usage": True}
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
    ask = {"model": "text-embedding-3-small", "input": "hello", "user": treated_user(gateway)}
    for _ in range(2):
        answer = await client.embeddings.create(**ask, encoding_format="float")
        assert answer.data[0].embedding == [0.25, -0.5]
    assert len(upstream.calls) == 1


# --- cache and coalescing


def treated_user(gateway: ProxyGateway) -> str:
    """Find a user whose session is not in the holdout, so that a cache test means the cache."""
    clock = Clock()
    live = SnapshotHolder(gateway.home, load_key_ring(gateway.settings), clock).live
    epoch = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m")
    names = (f"user-{number}" for number in range(1000))
    return next(name for name in names if live.draw(epoch, "acme", name).holdout > 0.05)


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
    upstream.script(Reply(**_fields(replies.ok_json()) | {"delay_s": 0.3}))
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
    upstream.script(Reply(**_fields(replies.bad_request()) | {"delay_s": 0.3}))
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


def _fields(reply: Reply) -> dict[str, Any]:
    return {name: getattr(reply, name) for name in Reply.__slots__}


# --- failures before the first byte


@pytest.mark.parametrize(
    "fault",
    [
        replies.http_error(500),
        replies.http_error(502),
        replies.http_error(503),
        replies.http_error(529),
        replies.http_error(429, retry_after="0.1"),
        replies.reset(),
        replies.close_without_answer(),
        replies.html_200(),
        replies.broken_json(),
        replies.wrong_schema(),
        replies.empty_200(),
        replies.cut_json(),
        replies.not_http(),
        replies.json_reply({"error": {"message": "inside 200"}}),
    ],
    ids=lambda fault: str(fault.status),
)
@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_fault_before_the_first_byte_is_cured_by_a_retry(
    gateway: ProxyGateway,
    client: openai.AsyncOpenAI,
    upstream: FaultUpstream,
    fault: Reply,
    is_streaming: bool,
) -> None:
    upstream.script(fault, replies.ok_stream() if is_streaming else replies.ok_json())
    if is_streaming:
        assert await stream_text(client, **HELLO) == ANSWER
    else:
        answer = await client.chat.completions.create(**HELLO)
        assert answer.choices[0].message.content == ANSWER
    assert len(upstream.calls) == 2
    first, last = gateway.ends()
    assert (first["is_final"], last["is_final"]) == (False, True)
    assert (first["outcome"] != "ok", last["outcome"]) == (True, "ok")
    assert first["request_id"] == last["request_id"]


@pytest.mark.parametrize("fault", [replies.cut_stream(0), replies.stream_with_error(0)])
async def test_a_stream_that_fails_before_its_first_event_is_retried(
    client: openai.AsyncOpenAI, upstream: FaultUpstream, fault: Reply
) -> None:
    upstream.script(fault, replies.ok_stream())
    assert await stream_text(client, **HELLO) == ANSWER


@pytest.mark.parametrize("fault", [replies.silence(), replies.http_error(429, retry_after="60")])
async def test_the_next_upstream_takes_over(
    gateway: ProxyGateway,
    client: openai.AsyncOpenAI,
    upstream: FaultUpstream,
    second: FaultUpstream,
    fault: Reply,
) -> None:
    upstream.script(fault)
    second.script(replies.ok_stream())
    assert await stream_text(client, **HELLO | {"model": "gpt-4o"}) == ANSWER
    assert len(upstream.calls) == 1
    assert second.calls[0].json()["model"] == "house-4o"
    assert [end["upstream"] for end in gateway.ends()] == ["first", "second"]


async def test_an_upstream_that_is_down_is_left_alone_after_repeated_failures(
    tmp_path: Path, second: FaultUpstream
) -> None:
    upstreams = {
        "down": local_upstream("down", replies.refused_url()),
        "up": local_upstream("up", second.url),
    }
    models = {"gpt-4o-mini": (Target("down", "gpt-4o-mini"), Target("up", "gpt-4o-mini"))}
    async with (
        ProxyGateway(tmp_path, upstreams, models=models) as gateway,
        openai.AsyncOpenAI(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as client,
    ):
        for _ in range(8):
            await client.chat.completions.create(**HELLO)
        attempts = [end["upstream"] for end in gateway.ends()]
        assert attempts[-2:] == ["up", "up"]
        assert attempts.count("down") == 5
        async with ClientSession() as session:
            async with session.get(gateway.base_url.removesuffix("/v1") + "/health/ready") as ready:
                document = await ready.json()
        assert document["dependencies"]["upstreams"]["open_breakers"] == ["down"]
        gateway.check_conservation()


@pytest.mark.parametrize(
    ("fault", "error", "calls"),
    [
        (replies.bad_request(), openai.BadRequestError, 1),
        (replies.content_filtered(), openai.BadRequestError, 1),
        (replies.http_error(422), openai.UnprocessableEntityError, 1),
        (replies.http_error(404), openai.NotFoundError, 1),
        (replies.http_error(401), openai.InternalServerError, 1),
        (replies.redirect("http://127.0.0.1:1/v1"), openai.InternalServerError, 3),
    ],
)
async def test_what_a_retry_cannot_cure_is_not_retried(
    gateway: ProxyGateway,
    client: openai.AsyncOpenAI,
    upstream: FaultUpstream,
    fault: Reply,
    error: type[openai.APIStatusError],
    calls: int,
) -> None:
    upstream.fallback = fault
    with pytest.raises(error) as caught:
        await client.chat.completions.create(**HELLO)
    assert len(upstream.calls) == calls
    assert caught.value.response.headers["x-apex-request-id"]
    assert isinstance(caught.value.body, dict)
    assert gateway.ends()[-1]["is_final"]


async def test_a_callers_400_is_not_rescued_by_another_upstream(
    client: openai.AsyncOpenAI, upstream: FaultUpstream, second: FaultUpstream
) -> None:
    upstream.fallback = replies.content_filtered()
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**HELLO | {"model": "gpt-4o"})
    assert caught.value.code == "content_filter"
    assert second.calls == []


async def test_429_reaches_the_caller_with_its_retry_after(
    client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    upstream.fallback = replies.http_error(429, retry_after="60")
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(**HELLO)
    assert caught.value.response.headers["retry-after"] == "60"
    assert len(upstream.calls) == 1


async def test_all_attempts_share_one_deadline(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    upstream.fallback = replies.silence()
    began = asyncio.get_running_loop().time()
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(**HELLO)
    assert caught.value.status_code == 504
    assert asyncio.get_running_loop().time() - began < QUICK.total_s + 2
    assert gateway.ends()[-1]["outcome"] == "upstream_timeout"
    assert gateway.ends()[-1]["usage_source"] == "unknown"


# --- failures after the first byte


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (replies.cut_stream(3), "truncated"),
        (replies.cut_stream(3, end=replies.End.reset), "truncated"),
        (replies.stream_without_done(), "truncated"),
        (replies.silent_stream(3), "upstream_timeout"),
        (replies.ok_stream([*STARTED, 0.1, STREAM_ERROR]), "upstream_error"),
    ],
)
async def test_a_stream_that_breaks_off_ends_with_an_error_and_is_not_kept(
    gateway: ProxyGateway,
    client: openai.AsyncOpenAI,
    upstream: FaultUpstream,
    fault: Reply,
    outcome: str,
) -> None:
    body = CACHED | {"user": treated_user(gateway)}
    upstream.script(fault, replies.ok_stream())
    with pytest.raises(openai.APIError):
        await stream_text(client, **body)
    [end] = gateway.ends()
    assert (end["outcome"], end["is_final"]) == (outcome, True)
    assert await stream_text(client, **body) == ANSWER
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_caller_who_leaves_cancels_the_upstream_and_is_recorded(
    gateway: ProxyGateway, upstream: FaultUpstream, is_streaming: bool
) -> None:
    upstream.script(replies.silent_stream(2) if is_streaming else replies.silence())
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with ClientSession(headers=headers) as session:
        call = session.post(
            f"{gateway.base_url}/chat/completions", json=HELLO | {"stream": is_streaming}
        )
        if is_streaming:
            async with call as response:
                await response.content.readany()
        else:
            task = asyncio.get_running_loop().create_task(_await(call))
            await upstream.wait_for_calls(1)
            task.cancel()
    await upstream.wait_for_leaving()
    await wait_until(lambda: bool(gateway.ends()))
    [end] = gateway.ends()
    assert (end["outcome"], end["usage_source"]) == ("client_closed", "unknown")


async def _await(call: Any) -> None:
    async with call:
        pass


async def test_a_slow_first_token_is_bridged_by_comments(
    client: openai.AsyncOpenAI, upstream: FaultUpstream, gateway: ProxyGateway
) -> None:
    events = [0.45, *replies.chat_events()]
    upstream.script(replies.ok_stream(events))
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with ClientSession(headers=headers) as session:
        url = f"{gateway.base_url}/chat/completions"
        async with session.post(url, json=HELLO | {"stream": True}) as response:
            text = await response.text()
    assert text.startswith(": keep-alive\n\n")
    assert text.endswith("data: [DONE]\n\n")
    upstream.fallback = replies.silence()
    with pytest.raises(openai.APIError):
        await stream_text(client, **HELLO)


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
    async with ClientSession(headers=headers) as session:
        async with session.post(f"{gateway.base_url}/chat/completions", data=body) as response:
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
    async with ClientSession(headers=headers) as session:
        async with session.post(f"{gateway.base_url}/chat/completions", data=b"{") as response:
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
    async with ClientSession(headers=headers) as session:
        async with session.get(f"{gateway.base_url}/models") as response:
            names = [model["id"] for model in (await response.json())["data"]]
    assert names == ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]


async def test_other_dialects_get_a_clear_404(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="later release"):
        await client.responses.create(model="gpt-4o-mini", input="hi")


async def test_concurrency_caps_answer_429_and_503(tmp_path: Path, upstream: FaultUpstream) -> None:
    upstreams = {"first": local_upstream("first", upstream.url)}
    limits = Limits(max_concurrent_requests=2, max_concurrent_per_key=1)
    upstream.fallback = Reply(**_fields(replies.ok_json()) | {"delay_s": 0.5})
    async with (
        ProxyGateway(tmp_path, upstreams, limits=limits) as gateway,
        openai.AsyncOpenAI(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as client,
    ):
        calls = [client.chat.completions.create(**HELLO) for _ in range(4)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(r, openai.RateLimitError) for r in results) == 3
        gateway.check_conservation()
        assert len(gateway.ends()) == 4
