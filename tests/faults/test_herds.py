"""Many callers who ask the same thing at once (B3 26)."""

import asyncio

from tests import fault_replies as replies
from tests.fault_upstream import FaultUpstream
from tests.faults.sockets import RawCaller, request_of
from tests.proxy.calls import CACHED, delayed, treated_user
from tests.proxy_gateway import ProxyGateway

HERD = 500


async def test_a_herd_of_equal_calls_is_one_call(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    upstream.fallback = delayed(replies.ok_json(), 0.5)
    request = request_of(CACHED | {"user": treated_user(gateway)})
    callers = [await RawCaller.to(gateway) for _ in range(HERD)]
    for caller in callers:
        caller.send(request)
    answers = await asyncio.gather(*(caller.answer() for caller in callers))
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert len(upstream.calls) == 1
    ends = gateway.ends()
    assert [end["outcome"] for end in ends] == ["ok"] * HERD
    assert sum(end["usage_source"] == "provider" for end in ends) == 1
    for caller in callers:
        caller.leave()
