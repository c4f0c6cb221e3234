"""What every engine that counts must do: all or nothing, exactly, for all who share it."""

import asyncio
import random

import pytest

from ledger.amounts import PICO
from proxy.governing.claims import Hold
from proxy.governing.counters import Counters
from proxy.governing.rates import full, remaining_units
from tests.gateway import wait_until
from tests.proxy.governing.claiming import SPAN, back, hold, money, place, requests, tokens

Pair = tuple[Counters, Counters]


async def count_granted(pair: Pair, holds: list[Hold]) -> int:
    verdicts = await asyncio.gather(
        *(pair[number % 2].reserve(each) for number, each in enumerate(holds))
    )
    return sum(verdict.refused < 0 for verdict in verdicts)


async def is_granted(counters: Counters, *claims: object) -> bool:
    return (await counters.reserve(hold(*claims))).refused < 0  # type: ignore[arg-type]


async def test_a_budget_for_fifty_lets_fifty_of_two_hundred_pass(pair: Pair) -> None:
    holds = [hold(money(7 * PICO + 1, 50 * (7 * PICO + 1))) for _ in range(200)]
    assert await count_granted(pair, holds) == 50


async def test_a_rate_lets_its_limit_pass_at_once(pair: Pair) -> None:
    assert await count_granted(pair, [hold(requests(7)) for _ in range(40)]) == 7


async def test_tokens_are_counted_by_what_is_claimed(pair: Pair) -> None:
    holds = [hold(tokens(100_000, 30_000)) for _ in range(10)]
    assert await count_granted(pair, holds) == 3


async def test_places_are_given_back(pair: Pair) -> None:
    holds = [hold(place(3)) for _ in range(3)]
    assert await count_granted(pair, holds) == 3
    assert not await is_granted(pair[1], place(3))
    pair[0].settle(holds[0], [])
    # A call that follows on the same process never finds the place of the one before taken.
    assert await is_granted(pair[0], place(3))
    assert not await is_granted(pair[1], place(3))


async def test_it_is_all_or_nothing(pair: Pair) -> None:
    claims = (money(10, 100), money(10, 15, "tenant", "acme"), requests(50), place(50))
    assert await is_granted(pair[0], *claims)
    verdict = await pair[1].reserve(hold(*claims))
    assert verdict.refused == 1  # the tenant's
    rest = [hold(money(1, 100)) for _ in range(100)]
    assert await count_granted(pair, rest) == 90  # the key's was not touched by the refused one
    assert await count_granted(pair, [hold(requests(50)) for _ in range(60)]) == 49
    assert await count_granted(pair, [hold(place(50)) for _ in range(60)]) == 49


async def test_what_was_claimed_too_much_comes_back(pair: Pair) -> None:
    held = hold(money(100, 100), tokens(1000, 1000))
    assert (await pair[0].reserve(held)).refused < 0
    assert not await is_granted(pair[0], money(1, 100))
    spent, used = held.claims
    pair[0].settle(held, back(spent, 60) + back(used, 400))
    assert await is_granted(pair[0], money(60, 100), tokens(1000, 400))
    assert not await is_granted(pair[0], money(1, 100))


async def test_what_was_used_beyond_the_claim_is_counted(pair: Pair) -> None:
    held = hold(money(10, 100))
    await pair[0].reserve(held)
    pair[0].settle(held, back(held.claims[0], -80))
    assert await is_granted(pair[0], money(10, 100))
    assert not await is_granted(pair[0], money(1, 100))


async def test_amounts_beyond_what_a_float_can_tell_are_exact(pair: Pair) -> None:
    limit = 9_000_000 * PICO + 3  # far beyond 2^53
    assert await is_granted(pair[0], money(limit - 2, limit))
    assert await is_granted(pair[1], money(1, limit))
    assert await is_granted(pair[1], money(1, limit))
    assert not await is_granted(pair[0], money(1, limit))


async def test_one_that_costs_nothing_passes_an_empty_budget(pair: Pair) -> None:
    assert await is_granted(pair[0], money(10, 10))
    assert await is_granted(pair[0], money(0, 10))
    assert not await is_granted(pair[0], money(1, 10))


async def test_a_limit_of_nothing_lets_nothing_pass(pair: Pair) -> None:
    for claim in (money(1, 0), requests(0), tokens(0, 1), place(0)):
        assert not await is_granted(pair[0], claim)


async def test_money_without_a_limit_is_counted_all_the_same(pair: Pair) -> None:
    await pair[0].reserve(hold(money(40, None)))
    verdict = await pair[1].reserve(hold(money(2, None)))
    assert verdict.states == (42,)


async def test_tenants_and_keys_do_not_share(pair: Pair) -> None:
    assert await is_granted(pair[0], requests(1, name="k"))
    assert await is_granted(pair[0], requests(1, name="other"))
    assert not await is_granted(pair[0], requests(1, name="k"))


async def test_a_rate_leaks_away(pair: Pair) -> None:
    limit = 600_000  # ten a millisecond
    assert await is_granted(pair[0], requests(limit, amount=limit))
    assert not await is_granted(pair[0], requests(limit, amount=limit // 100))
    await wait_until(lambda: is_granted(pair[0], requests(limit, amount=1000)), 20.0)


async def test_states_say_what_is_left(pair: Pair) -> None:
    verdict = await pair[0].reserve(hold(money(5, 100), requests(60, 20), place(4)))
    assert verdict.states[0] == 5
    assert remaining_units(verdict.states[1], 60) == 40
    assert verdict.states[1] <= full(60) // 3
    assert verdict.states[2] == 1


@pytest.mark.parametrize("seed", range(3))
async def test_no_order_of_claims_and_settlements_passes_the_limit(pair: Pair, seed: int) -> None:
    rng, limit = random.Random(seed), 1000
    used = 0
    held: list[tuple[Counters, Hold, int]] = []
    for _ in range(150):
        counters = rng.choice(pair)
        if held and rng.random() < 0.4:
            owner, each, amount = held.pop(rng.randrange(len(held)))
            less = rng.randrange(amount + 1)
            owner.settle(each, back(each.claims[0], less) if less else [])
            used -= less
        else:
            amount = rng.randrange(1, 200)
            each = hold(money(amount, limit))
            if (await counters.reserve(each)).refused < 0:
                used += amount
                held.append((counters, each, amount))
        assert used <= limit + max((amount for *_, amount in held), default=0)
    # Once all is told, the counter is what was used.
    await wait_until(lambda: reads(pair, used), what="the sum is what was used")


async def reads(pair: Pair, used: int) -> bool:
    verdicts = [await each.reserve(hold(money(0, 1000))) for each in pair]
    return [verdict.states[0] for verdict in verdicts] == [used, used]


async def test_a_sum_begins_at_what_was_used_before(pair: Pair) -> None:
    claim = money(10, 100)
    for counters in pair:
        counters.seed("acme", claim.counter, 60, SPAN.end_s)
        counters.seed("acme", claim.counter, 70, SPAN.end_s)  # told again: more has arrived

    async def is_known() -> bool:
        return (await pair[0].reserve(hold(money(0, 100)))).states == (70,)

    await wait_until(is_known)
    assert await count_granted(pair, [hold(money(10, 100)) for _ in range(10)]) == 3
    pair[0].seed("acme", claim.counter, 70, SPAN.end_s)
    assert not await is_granted(pair[0], claim)


async def test_what_was_used_before_is_added_to_a_sum_that_has_begun(pair: Pair) -> None:
    assert await is_granted(pair[0], money(10, 100))
    assert await is_granted(pair[0], money(10, 100))
    for counters in pair:
        counters.seed("acme", money(10, 100).counter, 60, SPAN.end_s)

    async def is_known() -> bool:
        return (await pair[0].reserve(hold(money(0, 100)))).states == (80,)

    await wait_until(is_known)
    pair[1].seed("acme", money(10, 100).counter, 60, SPAN.end_s)
    assert await count_granted(pair, [hold(money(10, 100)) for _ in range(10)]) == 2
