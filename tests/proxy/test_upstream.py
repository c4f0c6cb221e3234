"""Faults of an upstream through the real proxy, with the official client as the judge.

Rows 11-16 of the fault table: 429, 5xx, connection faults, deadlines, cut streams, bad answers.
"""

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import ClientSession

from policies.snapshot import Target
from tests import fault_replies as replies
from tests.fault_replies import ANSWER, Reply
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import CACHED, HELLO, QUICK, stream_text, treated_user
from tests.proxy_gateway import API_KEY, ProxyGateway, local_upstream

STARTED = replies.chat_events()[:2]
STREAM_ERROR = {"error": {"message": "Scripted.", "type": "server_error", "code": None}}


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
        ready_url = gateway.base_url.removesuffix("/v1") + "/health/ready"
        async with ClientSession() as session, session.get(ready_url) as ready:
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
        (replies.redirect("http://127.0.0.1:1/v1"), openai.InternalServerError, 1),
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
