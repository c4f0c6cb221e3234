"""Credentials over the admin API: secrets go in, metadata comes out, and nothing else."""

from typing import Any

import pytest
import sqlalchemy as sa

from admin_api.routes import credentials
from policies.credential_store import open_credentials
from storage.tables import audit_log
from tests.admin_api.conftest import Admin

SECRET = "sk-proj-a-secret-of-acme-1234"
NEXT = "sk-proj-the-next-secret-9876"
PLACE = "/admin/v1/tenants/acme/credentials"
NEW = {"name": "main", "provider": "openai", "secret": SECRET}


@pytest.fixture
async def acme(admin: Admin) -> Admin:
    for name in ("acme", "globex"):
        status, _ = await admin.ask("/admin/v1/tenants", "POST", json={"name": name})
        assert status == 201
    admin.changes.clear()
    return admin


async def secrets_of(admin: Admin) -> dict[tuple[str, str], str]:
    async with admin.sql.connect() as connection:
        found = await open_credentials(connection, admin.key_ring)
    return {(each.tenant, each.name): each.secret for each in found}


async def test_a_credential_lives_and_is_never_returned(acme: Admin) -> None:
    answers: list[Any] = []

    async def ask(path: str, method: str = "GET", **options: Any) -> tuple[int, Any]:
        status, document = await acme.ask(path, method, **options)
        answers.append(document)
        return status, document

    status, made = await ask(PLACE, "POST", json=NEW)
    assert status == 201
    assert (made["host"], made["last4"], made["version"]) == ("api.openai.com", "1234", 1)
    assert acme.changes.is_set(), "a new snapshot is wanted"
    assert (await ask(f"{PLACE}/main"))[1] == made
    assert (await ask(PLACE))[1]["items"] == [made]
    status, rotated = await ask(f"{PLACE}/main/rotate", "POST", json={"secret": NEXT})
    assert (status, rotated["last4"], rotated["version"]) == (200, "9876", 2)
    assert rotated["rotated_at"]
    assert await secrets_of(acme) == {("acme", "main"): NEXT}
    assert (await ask(f"{PLACE}/main", "DELETE"))[0] == 204
    assert (await ask(f"{PLACE}/main"))[0] == 404
    assert await secrets_of(acme) == {}
    text = repr(answers)
    assert SECRET not in text
    assert NEXT not in text


async def test_the_operators_own_are_apart(acme: Admin) -> None:
    for name in ("one", "two"):
        body = {**NEW, "name": name}
        assert (await acme.ask("/admin/v1/credentials", "POST", json=body))[0] == 201
    _, listed = await acme.ask("/admin/v1/credentials")
    assert [each["name"] for each in listed["items"]] == ["one", "two"]
    assert (await acme.ask(PLACE))[1]["items"] == []
    assert (await acme.ask(f"{PLACE}/one"))[0] == 404


async def test_one_credential_for_a_tenant_and_a_host(acme: Admin) -> None:
    assert (await acme.ask(PLACE, "POST", json=NEW))[0] == 201
    status, problem = await acme.ask(PLACE, "POST", json={**NEW, "name": "second"})
    assert (status, problem["code"]) == (409, "credential_exists")
    status, problem = await acme.ask(PLACE, "POST", json={**NEW, "host": "eu.api.openai.com"})
    assert (status, problem["code"]) == (409, "name_taken")
    other = "/admin/v1/tenants/globex/credentials"
    assert (await acme.ask(other, "POST", json=NEW))[0] == 201
    assert (await acme.ask("/admin/v1/tenants/nobody/credentials", "POST", json=NEW))[0] == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret": "short"}, "invalid_body"),
        ({"secret": f"{SECRET}\n"}, "invalid_body"),
        ({"secret": f"Bearer {SECRET}"}, "invalid_body"),
        ({"secret": f"{SECRET}é"}, "invalid_body"),
        ({"provider": "nobody"}, "unknown_provider"),
        ({"provider": "azure"}, "missing_host"),
        ({"host": "https://api.openai.com/v1"}, "invalid_host"),
        ({"host": "user@host"}, "invalid_host"),
        ({"name": "a/b"}, "invalid_body"),
        ({SECRET: 1}, "invalid_body"),
    ],
)
async def test_what_is_refused_is_not_quoted(acme: Admin, change: Any, code: str) -> None:
    status, problem = await acme.ask(PLACE, "POST", json={**NEW, **change})
    assert (status, problem["code"]) == (422, code)
    if SECRET not in change:
        assert SECRET not in repr(problem)
    assert await secrets_of(acme) == {}


async def test_a_rotation_of_something_else_than_was_seen_is_refused(acme: Admin) -> None:
    await acme.ask(PLACE, "POST", json=NEW)
    headers = {"Authorization": "Bearer an-admin-token-of-more-than-thirty-two-characters"}
    stale = {**headers, "If-Match": '"7"'}
    body = {"secret": NEXT}
    status, _ = await acme.ask(f"{PLACE}/main/rotate", "POST", headers=stale, json=body)
    assert status == 412
    assert await secrets_of(acme) == {("acme", "main"): SECRET}
    assert (await acme.ask(f"{PLACE}/else/rotate", "POST", json=body))[0] == 404


async def test_each_change_is_in_the_tenants_audit_log(acme: Admin) -> None:
    await acme.ask(PLACE, "POST", json=NEW)
    await acme.ask(f"{PLACE}/main/rotate", "POST", json={"secret": NEXT})
    await acme.ask(f"{PLACE}/main", "DELETE")
    async with acme.sql.connect() as connection:
        query = sa.select(audit_log.c.action).where(audit_log.c.chain == "acme")
        actions = (await connection.execute(query)).scalars().all()
    assert actions == ["credential.create", "credential.rotate", "credential.delete"]


async def test_a_tenant_has_a_bounded_number(acme: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "MOST_CREDENTIALS", 1)
    other = {**NEW, "name": "other", "provider": "groq"}
    assert (await acme.ask(PLACE, "POST", json=NEW))[0] == 201
    status, problem = await acme.ask(PLACE, "POST", json=other)
    assert (status, problem["code"]) == (409, "too_many")
