"""/admin/v1/tenants: made, shown, changed, a page at a time; what is wrong is said."""

from typing import Any

import pytest
import sqlalchemy as sa

from storage.tables import audit_log
from tests.admin_api.conftest import TOKEN, Admin

AUTH = {"Authorization": f"Bearer {TOKEN}"}


async def make(admin: Admin, **fields: Any) -> tuple[int, Any]:
    return await admin.ask("/admin/v1/tenants", "POST", json=fields)


async def test_what_is_made_is_echoed_and_kept(admin: Admin) -> None:
    status, made = await make(admin, name="acme", tier="mid", time_zone="Europe/Berlin")
    assert (status, made["tier"], made["version"], made["managed_by"]) == (201, "mid", 1, "api")
    assert await admin.ask("/admin/v1/tenants/acme") == (200, made)
    assert admin.changes.is_set()
    async with admin.sql.connect() as connection:
        entries = (await connection.execute(sa.select(audit_log))).mappings().all()
    assert [(each["action"], each["subject"]) for each in entries] == [
        ("tenant.create", "tenants/acme")
    ]


async def test_a_change_is_of_the_version_that_was_seen(admin: Admin) -> None:
    await make(admin, name="acme")
    path = "/admin/v1/tenants/acme"
    seen = {**AUTH, "If-Match": '"1"', "X-Apex-Why": "grew"}
    status, changed = await admin.ask(path, "PATCH", json={"tier": "early"}, headers=seen)
    assert (status, changed["tier"], changed["version"]) == (200, "early", 2)
    status, problem = await admin.ask(path, "PATCH", json={"tier": "mid"}, headers=seen)
    assert (status, problem["code"]) == (412, "version_mismatch")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": "acme", "colour": "red"}, "colour"),
        ({"name": "Acme"}, "name"),
        ({"name": "acme", "time_zone": "Mars/Base"}, "time_zone"),
        ({}, "name"),
    ],
)
async def test_what_is_wrong_is_named(admin: Admin, fields: dict[str, Any], named: str) -> None:
    status, problem = await make(admin, **fields)
    assert (status, problem["code"]) == (422, "invalid_body")
    assert named in problem["detail"]


async def test_a_name_is_given_once(admin: Admin) -> None:
    await make(admin, name="acme")
    status, problem = await make(admin, name="acme")
    assert (status, problem["code"]) == (409, "name_taken")


async def test_lists_come_in_pages(admin: Admin) -> None:
    for name in ("a", "b", "c"):
        await make(admin, name=name)
    _, first = await admin.ask("/admin/v1/tenants?limit=2")
    assert [each["name"] for each in first["items"]] == ["a", "b"]
    _, rest = await admin.ask(f"/admin/v1/tenants?limit=2&cursor={first['next_cursor']}")
    assert [each["name"] for each in rest["items"]] == ["c"]
    assert rest["next_cursor"] is None
    assert (await admin.ask("/admin/v1/tenants?cursor=%FF"))[0] == 400
    assert (await admin.ask("/admin/v1/tenants?page=2"))[0] == 422
