"""Admission: row 25 of the fault table."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.operator_model import Limits
from proxy.errors import GatewayError
from proxy.limits import ConcurrencyGate

LIMITS = Limits(max_concurrent_requests=3, max_concurrent_per_key=2)


async def test_a_key_has_its_share_and_no_more() -> None:
    gate = ConcurrencyGate()
    gate.enter("a", LIMITS)
    gate.enter("a", LIMITS)
    with pytest.raises(GatewayError) as caught:
        gate.enter("a", LIMITS)
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    gate.enter("b", LIMITS)
    gate.leave("a")
    gate.enter("a", LIMITS)


async def test_a_full_gateway_says_so() -> None:
    gate = ConcurrencyGate()
    for key in "abc":
        gate.enter(key, LIMITS)
    with pytest.raises(GatewayError) as caught:
        gate.enter("d", LIMITS)
    assert caught.value.status == 503
    assert caught.value.headers == {"Retry-After": "1"}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=60))
def test_counts_are_right_and_nothing_is_left_of_keys_that_went(
    steps: list[tuple[str, bool]],
) -> None:
    async def run() -> None:
        gate, open_keys = ConcurrencyGate(), []
        for key, enters in steps:
            if enters:
                try:
                    gate.enter(key, LIMITS)
                    open_keys.append(key)
                except GatewayError:
                    full = len(open_keys) >= LIMITS.max_concurrent_requests
                    assert full or open_keys.count(key) >= LIMITS.max_concurrent_per_key
            elif key in open_keys:
                gate.leave(key)
                open_keys.remove(key)
            assert gate.open_requests == len(open_keys)
        for key in open_keys:
            gate.leave(key)
        assert gate.open_requests == 0
        assert not gate._by_key  # noqa: SLF001 a count per key that ever called would be a leak
        await asyncio.wait_for(gate.wait_idle(), 1)

    asyncio.run(run())


async def test_waiting_ends_when_the_last_one_leaves() -> None:
    gate = ConcurrencyGate()
    await asyncio.wait_for(gate.wait_idle(), 1)
    gate.enter("a", LIMITS)
    gate.enter("b", LIMITS)
    async with asyncio.TaskGroup() as group:
        idle = group.create_task(gate.wait_idle())
        gate.leave("a")
        await asyncio.sleep(0)
        assert not idle.done()
        gate.leave("b")
