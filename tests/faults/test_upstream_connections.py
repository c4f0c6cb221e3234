"""Connections to an upstream that end at the wrong moment, and time shared by attempts."""

import asyncio
from pathlib import Path

import openai
import pytest

from config.operator import Timeouts
from tests import fault_replies as replies
from tests.fault_replies import ANSWER, End, Reply, http_error
from tests.fault_upstream import FaultUpstream
from tests.faults.row import PATIENT
from tests.faults.sockets import RawCaller, request_of
from tests.gateway import wait_until
from tests.proxy.calls import HELLO, delayed, lone, stream_text
from tests.proxy_gateway import API_KEY, ProxyGateway

BUSY_CALLERS = 8
CALLS_OF_EACH = 15
TOTAL_S = 1.2


def closing(reply: Reply) -> Reply:
    """Return the reply, after which the upstream closes without having said so."""
    fields = {name: getattr(reply, name) for name in Reply.__slots__}
    return Reply(**fields | {"end": End.close})


async def test_an_upstream_that_closes_idle_connections_under_load_costs_no_call(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    """Every third answer is the last on its connection, and nobody is told."""
    calls = BUSY_CALLERS * CALLS_OF_EACH
    good = replies.ok_json()
    upstream.script(*[closing(good) if number % 3 == 0 else good for number in range(calls)])

    async def be_busy(caller: int) -> None:
        for number in range(CALLS_OF_EACH):
            seed = caller * CALLS_OF_EACH + number  # each call is one of its own
            answer = await client.chat.completions.create(seed=seed, **HELLO)
            assert answer.choices[0].message.content == ANSWER

    async with asyncio.TaskGroup() as tasks:
        for caller in range(BUSY_CALLERS):
            tasks.create_task(be_busy(caller))
    ends = gateway.ends()
    assert len({end["request_id"] for end in ends if end["outcome"] == "ok"}) == calls
    assert {end["outcome"] for end in ends} <= {"ok", "upstream_unreachable"}
    assert len(upstream.calls) == calls, "no call was made twice"
    assert upstream.connections > BUSY_CALLERS


@pytest.mark.parametrize("end", [End.close, End.reset])
async def test_a_kept_connection_that_dies_under_a_call_is_replaced(
    gateway: ProxyGateway, client: openai.AsyncOpenAI, upstream: FaultUpstream, end: End
) -> None:
    """The race of keep-alive: the upstream had closed when the request was on its way."""
    lost = Reply(is_headless=True, framing=replies.Framing.close, end=end)
    upstream.script(replies.ok_json(), lost, replies.ok_json())
    for seed in range(2):
        answer = await client.chat.completions.create(seed=seed, **HELLO)
        assert answer.choices[0].message.content == ANSWER
    assert [call.connection for call in upstream.calls] == [1, 1, 2]
    outcomes = [each["outcome"] for each in gateway.ends()]
    assert outcomes == ["ok", "upstream_unreachable", "ok"]


async def test_a_caller_may_be_closed_upon_between_calls_only(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    """The same race on the other side: a kept connection serves until a caller says it ends."""
    caller = await RawCaller.to(gateway)
    for number in range(3):
        caller.send(request_of(HELLO | {"seed": number}))
        assert (await caller.answer()).status == 200
    caller.send(request_of(HELLO, "Connection: close"))
    last = await caller.answer()
    assert b"connection: close" in last.head.lower()
    assert await caller.rest() == b""
    assert len({call.connection for call in upstream.calls}) == 1


async def answer_text(client: openai.AsyncOpenAI) -> str:
    answer = await client.chat.completions.create(**HELLO)
    return answer.choices[0].message.content or ""


@pytest.mark.parametrize("is_streaming", [False, True], ids=["document", "stream"])
async def test_all_attempts_share_one_budget_of_time(
    tmp_path: Path, upstream: FaultUpstream, is_streaming: bool
) -> None:
    """Slow failures are retried only while there is time, and none of it is added."""
    upstream.fallback = delayed(http_error(503), TOTAL_S / 3)
    timeouts = Timeouts(connect_s=1, first_token_s=TOTAL_S, idle_s=TOTAL_S, total_s=TOTAL_S)
    async with (
        lone(tmp_path, upstream, timeouts=timeouts) as gateway,
        openai.AsyncOpenAI(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as client,
    ):
        call = stream_text(client, **HELLO) if is_streaming else answer_text(client)
        with pytest.raises(openai.InternalServerError):
            await call
        ends = gateway.ends()
        assert ends[-1]["is_final"]
        assert ends[-1]["total_us"] < TOTAL_S * 1e6 + 500_000
        assert 1 < len(ends) <= 3
        assert len(upstream.calls) == len(ends)
        await wait_until(lambda: len(gateway.events()) == 2 * len(ends))
        gateway.check_conservation()


async def test_a_slow_first_token_is_bridged_by_comments_without_failover(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    """Twenty seconds and more, on a scale of one to a hundred: headers and comments meanwhile."""
    upstream.script(replies.ok_stream([0.25, *replies.chat_events()]))
    timeouts = PATIENT.model_copy(update={"stream_headers_s": 0.05})
    async with lone(tmp_path, upstream, timeouts=timeouts) as gateway:
        caller = await RawCaller.to(gateway)
        caller.send(request_of(HELLO | {"stream": True}, "Connection: close"))
        body = (await caller.rest()).partition(b"\r\n\r\n")[2]
        first, _, rest = body.partition(b"data: ")
        assert first.count(b": keep-alive\n\n") > 1
        assert b": keep-alive" not in rest
        assert b"data: [DONE]" in rest
        assert len(upstream.calls) == 1
        assert [end["outcome"] for end in gateway.ends()] == ["ok"]
