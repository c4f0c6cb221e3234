"""The audit log over the API: pages, filters, and an export that proves itself."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from policies.audit import AuditEntry, append_audit, verify_chain
from storage.tables import audit_log
from tests.admin_api.conftest import TOKEN, Admin

AUDIT, TENANTS = "/admin/v1/audit", "/admin/v1/tenants"


async def make_changes(admin: Admin, many: int) -> None:
    """Tenants made by the operator, and one change of the first: in that tenant's chain."""
    for number in range(many):
        await admin.ask(TENANTS, "POST", json={"name": f"t{number}"})
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Apex-Why": "grew"}
    await admin.ask(f"{TENANTS}/t0", "PATCH", json={"tier": "mid"}, headers=headers)


async def export(admin: Admin, query: str = "") -> list[dict[str, Any]]:
    status, text = await admin.ask(f"{AUDIT}/export{query}")
    assert status == 200
    entries = [json.loads(line) for line in text.splitlines()]
    return [{**entry, "at": datetime.fromisoformat(entry["at"])} for entry in entries]


async def test_the_newest_come_first_a_page_at_a_time(admin: Admin) -> None:
    await make_changes(admin, 5)
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        _, page = await admin.ask(f"{AUDIT}?limit=2&cursor={cursor}")
        seen += [entry["number"] for entry in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [5, 4, 3, 2, 1]


async def test_a_tenant_has_a_chain_of_its_own(admin: Admin) -> None:
    await make_changes(admin, 2)
    _, page = await admin.ask(f"{AUDIT}?tenant=t0")
    [entry] = page["items"]
    assert (entry["chain"], entry["action"], entry["why"]) == ("t0", "tenant.update", "grew")
    assert entry["before_hash"] != entry["after_hash"]


async def test_filters(admin: Admin) -> None:
    await make_changes(admin, 3)
    for query, found in (
        ("subject=tenants/t1", 1),
        ("subject=tenants/", 3),
        ("subject=tenants/t_", 0),
        ("action=tenant.create&actor=operator", 3),
        ("action=tenant.update", 0),
        ("actor=user:1", 0),
    ):
        _, page = await admin.ask(f"{AUDIT}?{query}")
        assert len(page["items"]) == found, query


async def test_an_export_verifies_and_an_alteration_shows(admin: Admin) -> None:
    async with admin.sql.begin() as connection:
        for number in range(1203):  # more than is read at a time
            entry = AuditEntry("", "operator", "test", f"tests/{number}", None, {"n": number})
            await append_audit(connection, entry, 1_800_000_000 + number / 7)
    entries = await export(admin)
    assert [entry["number"] for entry in entries] == list(range(1, 1204))
    assert verify_chain(entries) == ""
    async with admin.sql.begin() as connection:
        altered = sa.update(audit_log).where(audit_log.c.number == 700, audit_log.c.chain == "")
        await connection.execute(altered.values(actor="nobody"))
    assert verify_chain(await export(admin)) == "entry 700 was altered"
    assert await export(admin, "?tenant=none") == []


async def test_a_cursor_of_another_list_is_none(admin: Admin) -> None:
    for cursor in ("YWNtZQ==", "LTE=", "OTk5OTk5OTk5OTk5"):
        status, problem = await admin.ask(f"{AUDIT}?cursor={cursor}")
        assert (status, problem["code"]) == (400, "invalid_cursor")
