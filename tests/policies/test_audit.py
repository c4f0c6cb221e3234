"""The audit chain: numbered without gaps, apart by tenant, and any altered byte is found."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.audit import AuditEntry, append_audit, digest_of, verify_chain
from storage.migrations import migrate_sql
from storage.sql import open_sql
from storage.tables import audit_log

NOW = 1_790_000_000.25


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[AsyncConnection]:
    url = f"sqlite+aiosqlite:///{tmp_path}/apex.db"
    await migrate_sql(url)
    engine = open_sql(url)
    async with engine.begin() as opened:
        yield opened
    await engine.dispose()


def entry(number: int, chain: str = "acme") -> AuditEntry:
    before = {"version": number} if number else None
    return AuditEntry(chain, "operator", "key.update", f"keys/{number}", before, {"n": number}, "?")


async def chain_of(connection: AsyncConnection, chain: str) -> list[sa.RowMapping]:
    query = sa.select(audit_log).where(audit_log.c.chain == chain).order_by(audit_log.c.number)
    return list((await connection.execute(query)).mappings().all())


async def test_a_chain_holds(connection: AsyncConnection) -> None:
    for number in range(3):
        await append_audit(connection, entry(number), NOW + number)
        await append_audit(connection, entry(number, "globex"), NOW)
    rows = await chain_of(connection, "acme")
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert verify_chain(rows) == ""
    assert verify_chain(await chain_of(connection, "globex")) == ""


@pytest.mark.parametrize("field", ["actor", "action", "subject", "before_hash", "why", "hash"])
async def test_whatever_is_altered_is_found(connection: AsyncConnection, field: str) -> None:
    for number in range(3):
        await append_audit(connection, entry(number), NOW)
    altered = sa.update(audit_log).where(audit_log.c.number == 2).values({field: "x"})
    await connection.execute(altered)
    assert verify_chain(await chain_of(connection, "acme")) == "entry 2 was altered"


async def test_a_lost_entry_is_found(connection: AsyncConnection) -> None:
    for number in range(3):
        await append_audit(connection, entry(number), NOW)
    await connection.execute(sa.delete(audit_log).where(audit_log.c.number == 2))
    assert verify_chain(await chain_of(connection, "acme")) == "entry 2 is missing"


def test_the_digest_is_of_the_content() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 1})
    assert digest_of(None) == ""
