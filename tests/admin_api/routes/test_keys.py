"""/admin/v1/tenants/{tenant}/keys: a secret shown once, scopes, rotation, revocation, expiry."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from policies.keys import key_hmac, parse_key_id
from storage.tables import BY_FILE, api_keys, audit_log
from tests.admin_api.conftest import TOKEN, Admin

KEYS = "/admin/v1/tenants/acme/keys"
SCOPES = {
    "tags": {"team": "s"},
    "endpoints": ["chat"],
    "models": ["gpt-*"],
    "output_tokens_cap": 500,
    "limits": {"requests_per_minute": 5, "budgets": [{"amount_usd": "1", "period": "day"}]},
}


@pytest.fixture
async def acme(admin: Admin) -> Admin:
    await admin.ask("/admin/v1/tenants", "POST", json={"name": "acme"})
    return admin


async def make(admin: Admin, **fields: Any) -> Any:
    status, made = await admin.ask(KEYS, "POST", json={"name": "app", **fields})
    assert status == 201, made
    return made


async def test_a_secret_is_shown_once_and_stored_nowhere(acme: Admin) -> None:
    made = await make(acme, **SCOPES)
    secret = made.pop("secret")
    assert parse_key_id(secret) == made["key_id"]
    assert (made["last4"], made["state"], made["managed_by"]) == (secret[-4:], "active", "api")
    assert made["limits"]["requests_per_minute"] == 5
    assert await acme.ask(f"{KEYS}/{made['key_id']}") == (200, made)
    assert (await acme.ask(KEYS))[1]["items"] == [made]
    async with acme.sql.connect() as connection:
        row = (await connection.execute(sa.select(api_keys))).mappings().one()
        entries = (await connection.execute(sa.select(audit_log))).mappings().all()
    pepper = acme.key_ring.pepper()
    assert row["secret_hmac"] == key_hmac(pepper, secret).hex()
    assert secret not in f"{dict(row)}{[dict(each) for each in entries]}"
    assert [each["action"] for each in entries if each["chain"] == "acme"] == ["key.create"]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"secret": "mine"}, "secret"),
        ({"tenant": "other"}, "tenant"),
        ({"managed_by": "file"}, "managed_by"),
        ({"revoked_at": None}, "revoked_at"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"endpoints": ["chats"]}, "unknown endpoint"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"project": "none"}, "no open project"),
        ({"limits": {"rpm": 5}}, "rpm"),
    ],
)
async def test_what_is_wrong_is_named(acme: Admin, bad: dict[str, Any], named: str) -> None:
    status, problem = await acme.ask(KEYS, "POST", json={"name": "app", **bad})
    assert status == 422
    assert named in problem["detail"]
    made = await make(acme)
    status, problem = await acme.ask(f"{KEYS}/{made['key_id']}", "PATCH", json=bad)
    assert status == 422, "nor can it be changed that way"


async def test_a_change_leaves_the_rest(acme: Admin) -> None:
    made = await make(acme, **SCOPES)
    path = f"{KEYS}/{made['key_id']}"
    seen = {"Authorization": f"Bearer {TOKEN}", "If-Match": '"1"'}
    status, changed = await acme.ask(path, "PATCH", json={"models": []}, headers=seen)
    assert (status, changed["models"], changed["endpoints"]) == (200, [], ["chat"])
    assert changed["limits"] == made["limits"]
    status, problem = await acme.ask(path, "PATCH", json={"models": ["x"]}, headers=seen)
    assert (status, problem["code"]) == (412, "version_mismatch")


async def test_a_rotation_keeps_the_name_and_lets_the_old_key_end(acme: Admin) -> None:
    old = await make(acme, **SCOPES)
    status, new = await acme.ask(f"{KEYS}/{old['key_id']}/rotate", "POST", json={"overlap_s": 60})
    assert (status, new["name"], new["replaces"]) == (201, "app", old["key_id"])
    assert new["secret"] != old["secret"]
    assert {name: new[name] for name in SCOPES if name != "limits"} == {
        name: value for name, value in SCOPES.items() if name != "limits"
    }
    _, left = await acme.ask(f"{KEYS}/{old['key_id']}")
    assert (left["name"], left["state"]) == ("app", "active")
    ends, begins = (
        datetime.fromisoformat(text) for text in (left["expires_at"], new["created_at"])
    )
    assert timedelta(seconds=59) < ends - begins <= timedelta(seconds=60)
    status, problem = await acme.ask(f"{KEYS}/{old['key_id']}/rotate", "POST", json={})
    assert (status, problem["code"]) == (409, "already_rotated")
    status, _ = await acme.ask(f"{KEYS}/{new['key_id']}/rotate", "POST", json={"overlap_s": 0})
    assert status == 201
    assert (await acme.ask(f"{KEYS}/{new['key_id']}"))[1]["state"] == "expired"


async def test_a_revoked_key_is_announced_and_stays_so(acme: Admin) -> None:
    made = await make(acme)
    path = f"{KEYS}/{made['key_id']}"
    status, revoked = await acme.ask(f"{path}/revoke", "POST")
    assert (status, revoked["state"]) == (200, "revoked")
    assert acme.revoked == [made["key_id"]]
    assert await acme.ask(f"{path}/revoke", "POST") == (200, revoked)
    for method, where in (("PATCH", path), ("POST", f"{path}/rotate")):
        status, problem = await acme.ask(where, method, json={})
        assert (status, problem["code"]) == (409, "key_revoked")
    assert (await make(acme))["key_id"] != made["key_id"], "its name is free again"


async def test_a_key_is_revoked_while_the_store_is_away(acme: Admin) -> None:
    """Row 10: over the bus and in the file, for what needs no store must not wait for one."""
    async with acme.sql.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE api_keys RENAME TO elsewhere"))
    acme.changes.clear()
    status, problem = await acme.ask(f"{KEYS}/unknown2/revoke", "POST")
    assert (status, problem["code"]) == (503, "store_unavailable")
    assert (acme.revoked, acme.changes.is_set()) == ([], False)
    status, revoked = await acme.ask(f"{KEYS}/made2day/revoke", "POST")
    assert (status, revoked["state"]) == (202, "revoked")
    assert acme.revoked == ["made2day"]
    assert acme.changes.is_set(), "the next snapshot makes up for it"


async def test_a_name_is_given_once(acme: Admin) -> None:
    await make(acme)
    status, problem = await acme.ask(KEYS, "POST", json={"name": "app"})
    assert (status, problem["code"]) == (409, "name_taken")


async def test_there_are_only_so_many(acme: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin_api.routes.keys.MOST_KEYS", 1)
    made = await make(acme)
    status, problem = await acme.ask(KEYS, "POST", json={"name": "other"})
    assert (status, problem["code"]) == (409, "too_many")
    await acme.ask(f"{KEYS}/{made['key_id']}/revoke", "POST")
    await make(acme, name="other")


async def test_what_the_file_declares_is_read_only(acme: Admin) -> None:
    made = await make(acme)
    async with acme.sql.begin() as connection:
        await connection.execute(sa.update(api_keys).values(managed_by=BY_FILE))
    path = f"{KEYS}/{made['key_id']}"
    for method, where in (("PATCH", path), ("POST", f"{path}/rotate"), ("POST", f"{path}/revoke")):
        status, problem = await acme.ask(where, method, json={})
        assert (status, problem["code"]) == (409, "managed_by_file")
    assert acme.revoked == []


async def test_a_project_closes_with_its_tenant(acme: Admin) -> None:
    await acme.ask("/admin/v1/tenants/acme/projects", "POST", json={"name": "p"})
    assert (await make(acme, project="p"))["project"] == "p"
    assert (await acme.ask("/admin/v1/tenants/acme", "DELETE"))[0] == 200
    for path in (KEYS, "/admin/v1/tenants/acme/projects"):
        status, problem = await acme.ask(path, "POST", json={"name": "late"})
        assert (status, problem["code"]) == (409, "archived")
    assert (await acme.ask(KEYS))[0] == 200


async def test_a_tenants_view_does_not_show_whether_another_exists(acme: Admin) -> None:
    """Two-tenant differential: what A is answered is the same, byte for byte, with and without B.

    B has a project and a key of the same names; its ids are as unknown to A as ones never given.
    """
    await acme.ask("/admin/v1/tenants/acme/projects", "POST", json={"name": "p"})
    made = await make(acme, project="p")
    paths = [
        KEYS, f"{KEYS}/{made['key_id']}", f"{KEYS}/never2go", "/admin/v1/tenants/acme",
        "/admin/v1/tenants/acme/projects", "/admin/v1/tenants/acme/projects/p",
        "/admin/v1/tenants/acme/projects/secret",
    ]  # fmt: skip
    before = [await acme.ask_bytes(path) for path in paths]
    await acme.ask("/admin/v1/tenants", "POST", json={"name": "other"})
    for name in ("p", "secret"):
        await acme.ask("/admin/v1/tenants/other/projects", "POST", json={"name": name})
    _, theirs = await acme.ask("/admin/v1/tenants/other/keys", "POST", json={"name": "app"})
    assert [await acme.ask_bytes(path) for path in paths] == before
    for where, method, body in (
        ("{}", "GET", None), ("{}", "PATCH", {}),
        ("{}/rotate", "POST", {}), ("{}/revoke", "POST", {}),
    ):  # fmt: skip
        answers = []
        for key_id in (theirs["key_id"], "never2go"):
            options: dict[str, Any] = {} if body is None else {"json": body}
            status, text = await acme.ask_bytes(f"{KEYS}/{where.format(key_id)}", method, **options)
            answers.append((status, text.replace(key_id.encode(), b"ID")))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404
    assert (await acme.ask(f"/admin/v1/tenants/other/keys/{theirs['key_id']}"))[1][
        "state"
    ] == "active"
