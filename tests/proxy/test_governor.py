"""Limits and budgets as callers meet them: what passes, what is refused, and how it is said."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import orjson
import pytest

from config.operator_model import Limits, PriceOverride
from ledger.amounts import PICO
from ledger.rating import Price
from policies.limits import Budget, Rates, UsageLimits
from proxy.routes import GUARDED, ROUTES
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import AUTH, HELLO, lone, treated_user
from tests.proxy.mock_gateway import MockGateway, mock_gateway
from tests.proxy_gateway import API_KEY, Governed

# With input for nothing, a call costs what its max_tokens say: a dollar a token.
PRICES = {("openai", "gpt-4o-mini"): Price(input=0, output=PICO)}
CALL: dict[str, Any] = HELLO | {"max_tokens": 4}
COST = 4 * PICO
CHAT = "/v1/chat/completions"
DURATION = re.compile(r"(\d+h)?(\d+m)?\d+(\.\d+)?(s|ms)")

Open = Callable[..., AbstractAsyncContextManager[MockGateway]]


def budget(amount: int, *, is_hard: bool = True) -> UsageLimits:
    return UsageLimits(budgets=(Budget("month", amount, is_hard=is_hard),))


def rates(**limits: int) -> UsageLimits:
    return UsageLimits(Rates(**limits))


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def open_one(**options: Any) -> AsyncIterator[MockGateway]:
        governed = Governed(**{"prices": PRICES, **options})
        async with mock_gateway(tmp_path, governed=governed) as running:
            yield running

    return open_one


async def call(running: MockGateway, path: str = CHAT, **options: Any) -> tuple[int, Any, Any]:
    """(status, headers, document) of a call."""
    body = options.pop("body", CALL)
    url, options = f"{running.root}{path}", {"headers": AUTH, **options}
    async with running.http.post(url, data=orjson.dumps(body), **options) as reply:
        return reply.status, reply.headers, orjson.loads(await reply.read())


@pytest.mark.parametrize("level", ["key", "project", "tenant"])
async def test_fifty_of_two_hundred_parallel_calls_pass_a_budget_for_fifty(
    opened: Open, level: str
) -> None:
    async with opened(**{level: budget(50 * COST)}) as running:
        answers = await asyncio.gather(*(call(running) for _ in range(200)))
        assert sorted(status for status, _, _ in answers) == [200] * 50 + [429] * 150
        refused = next(each for each in answers if each[0] == 429)
        assert refused[2]["error"]["code"] == refused[2]["error"]["type"] == "insufficient_quota"
        assert level in refused[2]["error"]["message"]
        assert refused[1]["x-should-retry"] == "false"
        assert int(refused[1]["retry-after"]) > 0
        assert len(await running.bill()) == 50


async def test_a_stream_is_held_to_the_same_budget(opened: Open) -> None:
    body = CALL | {"stream": True, "stream_options": {"include_usage": True}}
    async with opened(key=budget(5 * COST)) as running:
        client = openai.AsyncOpenAI(
            base_url=running.gateway.base_url, api_key=API_KEY, max_retries=2
        )
        for _ in range(5):
            stream = await client.chat.completions.create(**body)
            assert [chunk async for chunk in stream]
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(**body)
        assert caught.value.code == "insufficient_quota"
        refused = [end for end in running.gateway.ends() if end["outcome"] == "refused"]
        assert len(refused) == 1  # the client did not try again
        await client.close()


async def test_what_a_call_did_not_use_is_given_back(opened: Open) -> None:
    """Twenty dollars are reserved, four are used: six calls fit into forty."""
    body, headers = CALL | {"max_tokens": 20}, AUTH | {"x-mock-output-tokens": "4"}
    async with opened(key=budget(40 * PICO)) as running:
        found = [(await call(running, body=body, headers=headers))[0] for _ in range(8)]
        assert found == [200] * 6 + [429] * 2


async def test_a_failed_call_costs_nothing(opened: Open) -> None:
    async with opened(key=budget(COST)) as running:
        headers = AUTH | {"x-mock-status": "400"}
        for _ in range(3):
            status, _, document = await call(running, headers=headers)
            assert status != 429, document
        assert (await call(running))[0] == 200


async def test_an_answer_from_the_cache_costs_nothing(tmp_path: Path) -> None:
    """Two dollars are paid once; each hit reserves four and gives them back."""
    governed = Governed(prices=PRICES, key=budget(6 * PICO))
    async with mock_gateway(tmp_path, governed=governed, policy="balanced") as running:
        body = CALL | {"temperature": 0, "user": treated_user(running.gateway)}
        headers = AUTH | {"x-mock-output-tokens": "2"}
        found = [await call(running, body=body, headers=headers) for _ in range(5)]
        assert [each[1]["x-apex-cache"] for each in found] == ["miss", *["hit"] * 4]
        assert [(await call(running))[0] for _ in range(2)] == [200, 429]


async def test_requests_a_minute(opened: Open) -> None:
    async with opened(key=rates(requests_per_minute=3)) as running:
        for left in (2, 1, 0):
            status, headers, _ = await call(running)
            assert status == 200
            assert headers["x-ratelimit-limit-requests"] == "3"
            assert headers["x-ratelimit-remaining-requests"] == str(left)
            assert DURATION.fullmatch(headers["x-ratelimit-reset-requests"])
        status, headers, document = await call(running)
        assert (status, document["error"]["code"]) == (429, "rate_limit_exceeded")
        assert document["error"]["type"] == "rate_limit_error"
        assert headers["x-should-retry"] == "true"
        assert headers["x-ratelimit-remaining-requests"] == "0"
        assert 0 < int(headers["retry-after"]) <= 20
        assert 0 < int(headers["retry-after-ms"]) <= 20_000


async def test_tokens_a_minute(opened: Open) -> None:
    async with opened(key=rates(tokens_per_minute=200)) as running:
        status, headers, _ = await call(running)
        assert status == 200
        assert headers["x-ratelimit-limit-tokens"] == "200"
        reserved = 200 - int(headers["x-ratelimit-remaining-tokens"])
        assert 4 < reserved < 60  # a third of the body's bytes, and max_tokens
        status, headers, document = await call(running, body=CALL | {"max_tokens": 500})
        assert (status, document["error"]["code"]) == (429, "rate_limit_exceeded")
        assert headers["x-should-retry"] == "false"  # no wait makes it fit
        # What was reserved and not used is given back.
        assert (await call(running, body=CALL | {"max_tokens": 140}))[0] == 200


async def test_requests_at_once(opened: Open) -> None:
    slow = AUTH | {"x-mock-latency-ms": "400"}
    async with opened(key=rates(concurrency=2)) as running:
        answers = await asyncio.gather(*(call(running, headers=slow) for _ in range(5)))
        assert sorted(status for status, _, _ in answers) == [200, 200, 429, 429, 429]
        refused = next(each for each in answers if each[0] == 429)
        assert refused[2]["error"]["code"] == "rate_limit_exceeded"
        assert refused[1]["retry-after"] == "1"
        assert (await call(running))[0] == 200


async def test_a_soft_budget_only_marks(opened: Open) -> None:
    async with opened(key=budget(COST, is_hard=False)) as running:
        first, second = [await call(running) for _ in range(2)]
        assert (first[0], second[0]) == (200, 200)
        assert "x-apex-budget" not in first[1]
        assert second[1]["x-apex-budget"] == "exceeded"


@pytest.mark.parametrize(
    ("path", "body", "shape"),
    [
        (
            "/v1/messages",
            {"model": "claude-sonnet-4-5", "max_tokens": 4,
             "messages": [{"role": "user", "content": "hi"}]},
            ("type", "rate_limit_error"),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
            ("status", "RESOURCE_EXHAUSTED"),
        ),
    ],
)  # fmt: skip
async def test_it_is_said_in_the_callers_own_dialect(
    opened: Open, path: str, body: dict[str, Any], shape: tuple[str, str]
) -> None:
    async with opened(key=budget(1)) as running:
        status, headers, document = await call(running, path, body=body)
        assert status == 429
        assert document["error"][shape[0]] == shape[1]
        assert headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("is_hard", "fallback", "status"),
    [(True, None, 429), (False, None, 200), (True, 1, 200), (True, 1000, 429)],
)
async def test_an_unknown_price_is_refused_or_reserved_by_the_fallback(
    tmp_path: Path, upstream: FaultUpstream, is_hard: bool, fallback: int | None, status: int
) -> None:
    """A private host has no list price; four tokens at a thousandth each do not fit into two."""
    price = None
    if fallback is not None:
        price = PriceOverride(input_per_million_usd=0, output_per_million_usd=fallback)
    governed = Governed(key=budget(2 * PICO // 1000, is_hard=is_hard))
    limits = Limits(fallback_price=price)
    async with (
        lone(tmp_path, upstream, governed=governed, limits=limits) as gateway,
        aiohttp.ClientSession() as http,
        http.post(f"{gateway.base_url}/chat/completions", json=CALL, headers=AUTH) as reply,
    ):
        document = await reply.json()
        assert reply.status == status
        if status == 429:
            assert document["error"]["code"] == "insufficient_quota"
            assert reply.headers["x-should-retry"] == "false"


def routes() -> list[tuple[str, str]]:
    """Every route of the data plane but health, with something for its variables."""
    filled = []
    for method, path, _ in (*ROUTES, *GUARDED):
        if path.startswith("/health") or path == "/v1/realtime":
            continue
        verb = "GET" if method == "*" else method
        place = re.sub(r"\{call:[^}]*\}", "gemini-2.5-flash:generateContent", path)
        place = place.replace("{operation:.+}", "chat/completions").replace(
            "{model}", "gpt-4o-mini"
        )
        place = place.replace("{id:.+}", "gpt-4o-mini")
        place = re.sub(r"\{path:[^}]*\}", "files", place)
        filled.append((verb, place))
    return sorted(set(filled))


async def test_no_route_goes_past_the_limits(opened: Open) -> None:
    """Generated from the route table: what a key without requests left gets is 429, everywhere."""
    body = {
        "model": "gpt-4o-mini", "max_tokens": 4, "input": "hi", "prompt": "hi",
        "messages": [{"role": "user", "content": "hi"}],
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    }  # fmt: skip
    listed = routes()
    assert len(listed) > 20
    async with opened(key=rates(requests_per_minute=0)) as running:
        passed = []
        for method, path in listed:
            url = f"{running.root}{path}"
            content: Any = {"json": body} if method == "POST" else {}
            async with running.http.request(method, url, headers=AUTH, **content) as reply:
                if reply.status != 429:
                    passed.append((method, path, reply.status))
        assert not passed
        url = f"{running.root}/v1/realtime?model=gpt-4o-mini"
        with pytest.raises(Exception, match="429"):
            await running.http.ws_connect(url, headers=AUTH)


async def test_pictures_are_paid_by_the_piece(opened: Open) -> None:
    body = {"model": "dall-e-3", "prompt": "a fox", "n": 1, "size": "1024x1024"}
    async with opened(key=budget(PICO // 100)) as running:  # a cent, and it costs four
        status, _, document = await call(running, "/v1/images/generations", body=body)
        assert (status, document["error"]["code"]) == (429, "insufficient_quota")
    assert not [end for end in running.gateway.ends() if end["upstream"]]


async def test_a_realtime_session_holds_its_place_and_pays(opened: Open) -> None:
    limits = UsageLimits(Rates(concurrency=1))
    async with opened(key=limits) as running:
        url = f"{running.root}/v1/realtime?model=gpt-4o-mini"
        async with running.http.ws_connect(url, headers=AUTH):
            assert (await call(running))[0] == 429

        async def is_free() -> bool:
            return (await call(running))[0] == 200

        await wait_until(is_free)


async def test_a_realtime_session_ends_when_its_budget_does(opened: Open) -> None:
    """The first response is paid, a second one is not begun on what is left."""
    prices = {("openai", "gpt-4o-mini"): Price(input=0, output=PICO)}
    governed = {"key": budget(6 * PICO), "prices": prices, "output_tokens_cap": 4}
    async with opened(**governed) as running:
        url = f"{running.root}/v1/realtime?model=gpt-4o-mini"
        item = {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "hello"},
        ]}  # fmt: skip
        async with running.http.ws_connect(url, headers=AUTH) as session:
            await session.send_json({"type": "conversation.item.create", "item": item})
            await session.send_json({"type": "response.create"})
            heard = [orjson.loads(message.data)["type"] async for message in session]
            assert heard[-1] == "response.done"
            assert session.close_code == 1008
