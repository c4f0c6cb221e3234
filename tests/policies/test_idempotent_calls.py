"""Calls claimed under a key: the first is made, others see it, old ones are forgotten."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.idempotent_calls import (
    KEEP_S,
    ClaimedCall,
    claim_call,
    keep_answer,
    prune_calls,
    release_call,
)
from storage.migrations import migrate_sql
from storage.sql import open_sql

CALL = ClaimedCall("operator", "k1", "a" * 64)
NOW = 1_800_000_000.0


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'apex.db'}"
    await migrate_sql(url)
    opened = open_sql(url)
    yield opened
    await opened.dispose()


async def test_the_first_call_is_ours_and_the_second_sees_it(engine: AsyncEngine) -> None:
    assert await claim_call(engine, CALL, NOW) is None
    under_way = await claim_call(engine, CALL, NOW + 3)
    assert under_way is not None
    assert (under_way.status, round(under_way.age_s)) == (None, 3)
    await keep_answer(engine, CALL, 201, b"sealed")
    done = await claim_call(engine, CALL, NOW + 4)
    assert done is not None
    assert (done.status, done.answer_sealed, done.request_hash) == (201, b"sealed", "a" * 64)


async def test_callers_do_not_see_each_others_keys(engine: AsyncEngine) -> None:
    assert await claim_call(engine, CALL, NOW) is None
    assert await claim_call(engine, CALL._replace(caller="user:1"), NOW) is None


async def test_what_changed_nothing_is_forgotten_and_what_was_answered_is_not(
    engine: AsyncEngine,
) -> None:
    await claim_call(engine, CALL, NOW)
    await release_call(engine, CALL)
    assert await claim_call(engine, CALL, NOW) is None
    await keep_answer(engine, CALL, 200, b"sealed")
    await release_call(engine, CALL)
    assert await claim_call(engine, CALL, NOW) is not None


async def test_a_day_later_a_key_is_new(engine: AsyncEngine) -> None:
    await claim_call(engine, CALL, NOW)
    assert await claim_call(engine, CALL, NOW + KEEP_S - 1) is not None
    assert await claim_call(engine, CALL, NOW + KEEP_S) is None
    assert await prune_calls(engine, NOW + KEEP_S) == 0
    assert await prune_calls(engine, NOW + 2 * KEEP_S) == 1


async def test_of_many_at_once_one_is_first(engine: AsyncEngine) -> None:
    claims = await asyncio.gather(*(claim_call(engine, CALL, NOW) for _ in range(20)))
    assert sum(claim is None for claim in claims) == 1
