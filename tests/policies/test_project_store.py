"""Projects in SQL: a tenant's own, by pages, and changed only as they were seen."""

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.project_store import (
    count_projects,
    find_project,
    insert_project,
    list_projects,
    update_project,
)
from policies.tenant_store import insert_tenant

NOW = 1_790_000_000.0


async def test_projects_are_made_listed_and_changed(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        for tenant in ("acme", "other"):
            await insert_tenant(connection, {"name": tenant}, NOW)
            for name in ("b", "a"):
                await insert_project(connection, {"tenant": tenant, "name": name}, NOW)
        found = await list_projects(connection, "acme", "", 5)
        assert [(row["tenant"], row["name"]) for row in found] == [("acme", "a"), ("acme", "b")]
        assert await list_projects(connection, "acme", "b", 5) == []
        assert await count_projects(connection, "acme") == 2
        assert await update_project(connection, found[0], {"tags": {"t": "1"}}, NOW)
        assert not await update_project(connection, found[0], {"tags": {}}, NOW)
        changed = await find_project(connection, "acme", "a")
        untouched = await find_project(connection, "other", "a")
        assert changed is not None
        assert untouched is not None
        assert (changed["tags"], changed["version"]) == ({"t": "1"}, 2)
        assert (untouched["tags"], untouched["version"]) == (None, 1)
    with pytest.raises(IntegrityError):
        async with sql_engine.begin() as connection:
            await insert_project(connection, {"tenant": "acme", "name": "a"}, NOW)
