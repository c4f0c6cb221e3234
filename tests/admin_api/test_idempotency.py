"""Idempotency-Key: one call, one change, one answer, however often it is sent."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from policies.idempotent_calls import ClaimedCall, claim_call
from storage.tables import audit_log, idempotent_calls, tenants
from tests.admin_api.conftest import TOKEN, Admin

TENANTS = "/admin/v1/tenants"


async def post(
    admin: Admin, key: str, document: Any, path: str = TENANTS
) -> tuple[int, Any, Mapping[str, str]]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": key}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{admin.url}{path}", json=document, headers=headers) as reply,
    ):
        return reply.status, await reply.json(content_type=None), reply.headers


async def count(admin: Admin, table: sa.Table) -> int:
    async with admin.sql.connect() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def test_the_same_call_gets_the_first_answer(admin: Admin) -> None:
    status, made, headers = await post(admin, "k1", {"name": "acme"})
    again, replayed, replayed_headers = await post(admin, "k1", {"name": "acme"})
    assert (status, again) == (201, 201)
    assert replayed == made
    assert "Idempotency-Replayed" not in headers
    assert replayed_headers["Idempotency-Replayed"] == "true"
    for name in ("ETag", "Location", "Content-Type", "Cache-Control"):
        assert replayed_headers[name] == headers[name]
    assert (await count(admin, tenants), await count(admin, audit_log)) == (1, 1)


async def test_another_body_or_path_under_the_same_key_is_refused(admin: Admin) -> None:
    await post(admin, "k1", {"name": "acme"})
    for document, path in (({"name": "globex"}, TENANTS), ({}, "/admin/v1/cache/purge")):
        status, problem, _ = await post(admin, "k1", document, path)
        assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert await count(admin, tenants) == 1


async def test_a_refusal_is_an_answer_too(admin: Admin) -> None:
    await post(admin, "k1", {"name": "acme"})
    first = await post(admin, "k2", {"name": "acme"})
    second = await post(admin, "k2", {"name": "acme"})
    assert (first[0], first[1]["code"]) == (409, "name_taken")
    assert second[:2] == first[:2]
    assert second[2]["Content-Type"].startswith("application/problem+json")


async def test_a_malformed_call_takes_no_key(admin: Admin) -> None:
    assert (await post(admin, "k1", {"nam": "acme"}))[0] == 422
    assert (await post(admin, "k1", {"name": "acme"}))[0] == 201


async def test_of_many_at_once_one_is_made(admin: Admin) -> None:
    answers = await asyncio.gather(*(post(admin, "k1", {"name": "acme"}) for _ in range(20)))
    statuses = {status for status, _, _ in answers}
    assert statuses <= {201, 409}
    for status, document, _ in answers:
        if status == 409:
            assert document["code"] == "idempotent_call_in_flight"
    assert await count(admin, tenants) == 1
    assert (await post(admin, "k1", {"name": "acme"}))[0] == 201


async def test_an_answer_that_was_lost_is_said_to_be(admin: Admin) -> None:
    """The process ended between the change and its answer: nobody knows, and nobody repeats it."""
    await post(admin, "k1", {"name": "acme"})
    async with admin.sql.begin() as connection:
        cut_off = sa.update(idempotent_calls).values(status=None, answer_sealed=None)
        await connection.execute(cut_off)
    status, problem, _ = await post(admin, "k1", {"name": "acme"})
    assert (status, problem["code"]) == (409, "idempotent_call_in_flight")
    async with admin.sql.begin() as connection:
        made_at = await connection.scalar(sa.select(idempotent_calls.c.created_at))
        assert made_at is not None
        earlier = made_at - timedelta(minutes=2)
        await connection.execute(sa.update(idempotent_calls).values(created_at=earlier))
    status, problem, _ = await post(admin, "k1", {"name": "acme"})
    assert (status, problem["code"]) == (409, "idempotent_answer_lost")


async def test_answers_are_kept_sealed_and_bound_to_their_key(admin: Admin) -> None:
    await post(admin, "k1", {"name": "acme", "display_name": "Very Visible"})
    await post(admin, "k2", {"name": "globex"})
    async with admin.sql.begin() as connection:
        rows = (await connection.execute(sa.select(idempotent_calls))).mappings().all()
        assert all(b"Visible" not in row["answer_sealed"] for row in rows)
        moved = {row["idempotency_key"]: row["answer_sealed"] for row in rows}
        swap = sa.update(idempotent_calls).where(idempotent_calls.c.idempotency_key == "k2")
        await connection.execute(swap.values(answer_sealed=moved["k1"]))
    status, problem, _ = await post(admin, "k2", {"name": "globex"})
    assert (status, problem["code"]) == (409, "idempotent_answer_lost")


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_that_is_none(admin: Admin, key: str) -> None:
    status, problem, _ = await post(admin, key, {"name": "acme"})
    assert (status, problem["code"]) == (400, "invalid_idempotency_key")


async def test_another_caller_has_keys_of_its_own(admin: Admin) -> None:
    assert await claim_call(admin.sql, ClaimedCall("user:7", "k1", "b" * 64), 1.0) is None
    assert (await post(admin, "k1", {"name": "acme"}))[0] == 201
