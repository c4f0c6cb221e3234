"""Tenants in SQL: pages, versions, and no change to what somebody else has changed."""

from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from policies.tenant_store import find_tenant, insert_tenant, list_tenants, update_tenant
from storage.migrations import migrate_sql
from storage.sql import open_sql

NOW = 1_790_000_000.0


async def test_tenants_are_made_listed_and_changed(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/apex.db"
    await migrate_sql(url)
    engine = open_sql(url)
    async with engine.begin() as connection:
        for name in ("b", "a", "c"):
            await insert_tenant(connection, {"name": name}, NOW)
        names = [row["name"] for row in await list_tenants(connection, "a", 5)]
        assert names == ["b", "c"]
        only = await list_tenants(connection, "", 5, frozenset({"c"}))
        assert [row["name"] for row in only] == ["c"]
        assert await update_tenant(connection, "a", 1, {"tier": "mid"}, NOW)
        assert not await update_tenant(connection, "a", 1, {"tier": "early"}, NOW)
        found = await find_tenant(connection, "a")
        assert found is not None
        assert (found["tier"], found["version"]) == ("mid", 2)
        assert await find_tenant(connection, "d") is None
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await insert_tenant(connection, {"name": "a"}, NOW)
    await engine.dispose()
