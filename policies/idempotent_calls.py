"""What POSTs with an Idempotency-Key answered, in SQL: claimed, kept, given back, pruned.

Used by admin_api.idempotency. An answer arrives here sealed, since a key's secret may be in it.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.tables import idempotent_calls as calls

KEEP_S = 86_400


class ClaimedCall(NamedTuple):
    """Which call this is: who makes it, by which key, and the hash of what it asks (hex)."""

    caller: str
    key: str
    request_hash: str


class FirstCall(NamedTuple):
    """The call that came first; `status` is None while it is under way or was never finished."""

    request_hash: str
    status: int | None
    answer_sealed: bytes | None
    age_s: float


async def claim_call(engine: AsyncEngine, call: ClaimedCall, now: float) -> FirstCall | None:
    """None: this is the first one and is ours to make. `now` in Unix seconds."""
    for _ in range(2):
        if await _insert(engine, call, now):
            return None
        first = await _find(engine, call, now)
        if first is not None and first.age_s < KEEP_S:
            return first
        await prune_calls(engine, now)
    return FirstCall(call.request_hash, None, None, 0.0)


async def keep_answer(
    engine: AsyncEngine, call: ClaimedCall, status: int, answer_sealed: bytes
) -> None:
    """Remember what a claimed call answered."""
    async with engine.begin() as connection:
        values = {"status": status, "answer_sealed": answer_sealed}
        await connection.execute(sa.update(calls).where(*_is(call)).values(values))


async def release_call(engine: AsyncEngine, call: ClaimedCall) -> None:
    """Forget a claimed call that changed nothing: the next one is the first."""
    async with engine.begin() as connection:
        query = sa.delete(calls).where(*_is(call), calls.c.status.is_(None))
        await connection.execute(query)


async def prune_calls(engine: AsyncEngine, now: float) -> int:
    """Forget what is older than a day; returns how many."""
    oldest = datetime.fromtimestamp(now - KEEP_S, UTC)
    async with engine.begin() as connection:
        result = await connection.execute(sa.delete(calls).where(calls.c.created_at <= oldest))
    return result.rowcount


def _is(call: ClaimedCall) -> tuple[sa.ColumnElement[bool], ...]:
    return calls.c.caller == call.caller, calls.c.idempotency_key == call.key


async def _insert(engine: AsyncEngine, call: ClaimedCall, now: float) -> bool:
    row = {
        "caller": call.caller,
        "idempotency_key": call.key,
        "request_hash": call.request_hash,
        "created_at": datetime.fromtimestamp(now, UTC),
    }
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.insert(calls).values(row))
    except IntegrityError:
        return False
    return True


async def _find(engine: AsyncEngine, call: ClaimedCall, now: float) -> FirstCall | None:
    async with engine.connect() as connection:
        found = (await connection.execute(sa.select(calls).where(*_is(call)))).mappings().first()
    if found is None:
        return None
    made: datetime = found["created_at"]
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    age_s = now - made.timestamp()
    return FirstCall(found["request_hash"], found["status"], found["answer_sealed"], age_s)
