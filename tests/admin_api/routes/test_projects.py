"""/admin/v1/tenants/{tenant}/projects: made, changed, archived; a tenant's own."""

from typing import Any

import pytest

from tests.admin_api.conftest import Admin

PROJECTS = "/admin/v1/tenants/acme/projects"


@pytest.fixture
async def acme(admin: Admin) -> Admin:
    await admin.ask("/admin/v1/tenants", "POST", json={"name": "acme"})
    return admin


async def test_what_is_made_is_echoed_and_kept(acme: Admin) -> None:
    limits = {"tokens_per_minute": 1000, "budgets": [{"amount_usd": 2.5, "period": "month"}]}
    fields = {"name": "search", "tags": {"team": "s"}, "limits": limits}
    status, made = await acme.ask(PROJECTS, "POST", json=fields)
    assert (status, made["tags"], made["managed_by"]) == (201, {"team": "s"}, "api")
    assert made["limits"]["budgets"] == [{"amount_usd": "2.5", "period": "month", "hard": True}]
    assert await acme.ask(f"{PROJECTS}/search") == (200, made)
    status, problem = await acme.ask(PROJECTS, "POST", json={"name": "search"})
    assert (status, problem["code"]) == (409, "name_taken")


async def test_it_is_changed_and_archived_but_never_gone(acme: Admin) -> None:
    await acme.ask(PROJECTS, "POST", json={"name": "search", "display_name": "Search"})
    path = f"{PROJECTS}/search"
    status, changed = await acme.ask(path, "PATCH", json={"tags": {"a": "1"}})
    assert (status, changed["version"], changed["display_name"]) == (200, 2, "Search")
    status, archived = await acme.ask(path, "DELETE")
    assert status == 200
    assert archived["archived_at"] is not None
    assert await acme.ask(path) == (200, archived)
    for method in ("PATCH", "DELETE"):
        status, problem = await acme.ask(path, method, json={})
        assert (status, problem["code"]) == (409, "archived")


@pytest.mark.parametrize(
    "bad", [{"tenant": "other"}, {"managed_by": "file"}, {"tags": {"a,b": "1"}}, {"version": 7}]
)
async def test_what_is_not_the_callers_to_say_is_refused(acme: Admin, bad: dict[str, Any]) -> None:
    status, problem = await acme.ask(PROJECTS, "POST", json={"name": "search", **bad})
    assert (status, problem["code"]) == (422, "invalid_body")
    assert await acme.ask(PROJECTS) == (200, {"items": [], "next_cursor": None})


async def test_of_a_tenant_there_is_not_nothing_is_said(admin: Admin) -> None:
    for method in ("GET", "POST"):
        status, problem = await admin.ask(PROJECTS, method, json={"name": "p"})
        assert (status, problem["code"]) == (404, "unknown_tenant")
    assert (await admin.ask(f"{PROJECTS}/p"))[1]["code"] == "unknown_project"
