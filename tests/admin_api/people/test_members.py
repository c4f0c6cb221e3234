"""Members and invitations: nobody gives more than they have, and a tenant keeps an owner."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from admin_api.permissions import Role, may_grant
from config.operator import IdentityConfig
from storage.tables import audit_log, invitations
from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser, Reply
from tests.fake_issuer import FakeIssuer

ROLES = list(Role)


async def make_tenant(admin: Admin, name: str = "acme") -> None:
    assert (await admin.ask("/admin/v1/tenants", "POST", json={"name": name}))[0] == 201


async def invite(admin: Admin, email: str, role: str, tenant: str = "acme") -> dict[str, Any]:
    """By the operator."""
    path = f"/admin/v1/tenants/{tenant}/invitations"
    status, made = await admin.ask(path, "POST", json={"email": email, "role": role})
    assert status == 201, made
    document: dict[str, Any] = made
    return document


async def join(admin: Admin, role: str, name: str = "", tenant: str = "acme") -> Browser:
    """A new member with a browser."""
    email = f"{name or role}@example.com"
    invited = await invite(admin, email, role, tenant)
    browser = Browser(admin)
    session = await browser.dev_login(email, invitation=invited["token"])
    assert session["roles"][tenant] == role
    return browser


async def id_of(browser: Browser) -> str:
    return str((await browser.learn_csrf())["user_id"])


async def change(browser: Browser, user_id: str, role: str) -> Reply:
    path = f"/admin/v1/tenants/acme/members/{user_id}"
    return await browser.ask(path, "PATCH", json={"role": role})


async def test_an_invitation_is_to_one_address_and_good_once(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    await make_tenant(admin)
    invited = await invite(admin, "Ada@Example.com", "billing")
    query = invited["path"].removeprefix("/auth/login")
    eve = Browser(admin)
    issuer.person = {"sub": "eve", "email": "eve@example.com", "email_verified": True}
    reply = await eve.log_in(issuer, query)
    assert (reply.status, reply.document["code"]) == (400, "login_failed")
    assert "invitation" not in reply.document["detail"]
    issuer.person = {"sub": "eve", "email": "ada@example.com", "email_verified": False}
    assert (await eve.log_in(issuer, query)).status == 400
    issuer.person = {"sub": "ada", "email": "ada@example.com", "email_verified": True}
    assert (await browser.log_in(issuer, query)).status == 303
    assert (await browser.learn_csrf())["roles"] == {"acme": "billing"}  # and no tenant of her own
    issuer.person["sub"] = "another-ada"
    assert (await eve.log_in(issuer, query)).status == 400


async def test_an_invitation_joins_somebody_who_is_there_already(
    admin: Admin, browser: Browser
) -> None:
    await make_tenant(admin)
    own = (await browser.dev_login())["roles"]
    invited = await invite(admin, "ada@example.com", "viewer")
    roles = (await browser.dev_login(invitation=invited["token"]))["roles"]
    assert roles == {**own, "acme": "viewer"}
    again = await invite(admin, "ada@example.com", "owner")
    assert (await browser.dev_login(invitation=again["token"]))["roles"] == roles


@pytest.mark.parametrize("how", ["expired", "revoked", "unknown"])
async def test_an_invitation_that_is_not_open_lets_nobody_in(
    admin: Admin, issuer: FakeIssuer, browser: Browser, how: str
) -> None:
    await make_tenant(admin)
    admin.people.take(IdentityConfig(issuers={"fake": issuer.config()}, sign_up="invited"))
    invited = await invite(admin, "ada@example.com", "viewer")
    path = f"/admin/v1/tenants/acme/invitations/{invited['invitation_id']}"
    token = invited["token"]
    if how == "expired":
        admin.clock.later_s = 604_801
        issuer.now_s = admin.clock.now()
    elif how == "revoked":
        assert (await admin.ask(path, "DELETE"))[0] == 204
        assert (await admin.ask(path))[1]["revoked_at"] is not None
    else:
        token = invited["invitation_id"]
    assert (await browser.log_in(issuer, f"?invitation={token}")).status == 400


async def test_two_who_accept_at_once_do_not_both_join(admin: Admin) -> None:
    """The same address at two subjects: an invitation is for one of them."""
    await make_tenant(admin)
    invited = await invite(admin, "ada@example.com", "viewer")
    browsers = [Browser(admin) for _ in range(4)]
    body = {"email": "ada@example.com", "invitation": invited["token"]}
    replies = await asyncio.gather(
        *(each.ask("/auth/dev/login", "POST", json=body) for each in browsers)
    )
    assert sum(reply.status == 204 for reply in replies) == 1


async def test_tokens_of_invitations_are_shown_once(admin: Admin) -> None:
    await make_tenant(admin)
    invited = await invite(admin, "ada@example.com", "viewer")
    _, listed = await admin.ask("/admin/v1/tenants/acme/invitations")
    assert listed["items"] == [
        {name: value for name, value in invited.items() if name not in {"token", "path"}}
    ]
    async with admin.sql.connect() as connection:
        row = (await connection.execute(sa.select(invitations))).mappings().one()
    assert invited["token"] not in str(dict(row))


@pytest.mark.parametrize("own", ROLES)
async def test_nobody_gives_more_than_they_have(admin: Admin, own: Role) -> None:
    """Row and column of every pair of roles: inviting, and changing a member."""
    await make_tenant(admin)
    await join(admin, "owner", "first")
    browser = await join(admin, own.value)
    may_write = own in {Role.owner, Role.admin}
    for given in ROLES:
        body = {"email": "x@example.com", "role": given.value}
        reply = await browser.ask("/admin/v1/tenants/acme/invitations", "POST", json=body)
        expected = 201 if may_write and may_grant(own, given) else 403
        assert reply.status == expected, given
        other = await join(admin, given.value, f"other-{given.value}")
        reply = await change(browser, await id_of(other), "viewer")
        expected = 200 if may_write and may_grant(own, given) else 403
        assert reply.status == expected, given


async def test_nobody_raises_themselves(admin: Admin) -> None:
    await make_tenant(admin)
    await join(admin, "owner", "first")
    for role in ("admin", "billing", "developer", "viewer"):
        browser = await join(admin, role)
        assert (await change(browser, await id_of(browser), "owner")).status == 403


async def test_the_last_owner_stays(admin: Admin) -> None:
    await make_tenant(admin)
    owner = await join(admin, "owner")
    path = f"/admin/v1/tenants/acme/members/{await id_of(owner)}"
    for reply in (
        await change(owner, await id_of(owner), "admin"), await owner.ask(path, "DELETE"),
    ):  # fmt: skip
        assert (reply.status, reply.document["code"]) == (409, "last_owner")
    assert (await admin.ask(path, "DELETE"))[0] == 409  # not even the operator
    second = await join(admin, "owner", "second")
    assert (await owner.ask(path, "DELETE")).status == 204
    assert (await owner.ask("/auth/session")).status == 401
    assert (await change(second, await id_of(second), "admin")).status == 409


async def test_two_owners_who_leave_at_once_leave_one(admin: Admin) -> None:
    await make_tenant(admin)
    owners = [await join(admin, "owner", name) for name in ("a", "b", "c")]
    ids = [await id_of(owner) for owner in owners]
    await asyncio.gather(
        *(
            owner.ask(f"/admin/v1/tenants/acme/members/{user_id}", "DELETE")
            for owner, user_id in zip(owners, ids, strict=True)
        )
    )
    _, left = await admin.ask("/admin/v1/tenants/acme/members")
    assert [each["role"] for each in left["items"]].count("owner") >= 1


async def test_anybody_leaves_and_sees_themselves(admin: Admin) -> None:
    await make_tenant(admin)
    owner = await join(admin, "owner")
    viewer = await join(admin, "viewer")
    mine = f"/admin/v1/tenants/acme/members/{await id_of(viewer)}"
    theirs = f"/admin/v1/tenants/acme/members/{await id_of(owner)}"
    assert (await viewer.ask(mine)).document["role"] == "viewer"
    for path in (theirs, theirs[:-1] + "x"):  # somebody, and nobody: no difference to see
        for method in ("GET", "DELETE"):
            reply = await viewer.ask(path, method)
            assert (reply.status, reply.document["code"]) == (404, "unknown_member")
    assert (await owner.ask(theirs)).status == 200
    assert (await viewer.ask("/admin/v1/tenants/acme/members")).status == 403
    assert (await viewer.ask(mine, "DELETE")).status == 204
    assert (await owner.ask(mine)).status == 404


async def test_a_change_ends_sessions_and_open_invitations(admin: Admin) -> None:
    await make_tenant(admin)
    owner = await join(admin, "owner")
    boss = await join(admin, "admin")
    body = {"email": "friend@example.com", "role": "admin"}
    made = await boss.ask("/admin/v1/tenants/acme/invitations", "POST", json=body)
    assert made.status == 201
    reply = await change(owner, await id_of(boss), "viewer")
    assert (reply.status, reply.document["role"], reply.headers["ETag"]) == (200, "viewer", '"2"')
    assert (await boss.ask("/auth/session")).status == 401
    place = made.headers["Location"]
    assert (await owner.ask(place)).document["revoked_at"] is not None
    friend = Browser(admin)
    login = {"email": "friend@example.com", "invitation": made.document["token"]}
    assert (await friend.ask("/auth/dev/login", "POST", json=login)).status == 400


async def test_a_change_is_of_the_version_that_was_seen(admin: Admin) -> None:
    await make_tenant(admin)
    owner = await join(admin, "owner")
    member = await id_of(await join(admin, "viewer"))
    path = f"/admin/v1/tenants/acme/members/{member}"
    for status, version in ((412, '"7"'), (200, '"1"'), (412, '"1"')):
        headers = {"If-Match": version}
        reply = await owner.ask(path, "PATCH", json={"role": "developer"}, headers=headers)
        assert reply.status == status


async def test_tenants_see_nothing_of_each_other(admin: Admin) -> None:
    await make_tenant(admin)
    await make_tenant(admin, "globex")
    owner = await join(admin, "owner")
    stranger = await join(admin, "owner", "stranger", "globex")
    invited = await invite(admin, "x@example.com", "viewer")
    user_id = await id_of(owner)
    for path, method in (
        ("members", "GET"), (f"members/{user_id}", "GET"), (f"members/{user_id}", "DELETE"),
        ("invitations", "GET"), (f"invitations/{invited['invitation_id']}", "GET"),
        (f"invitations/{invited['invitation_id']}", "DELETE"),
    ):  # fmt: skip
        known = await stranger.ask(f"/admin/v1/tenants/acme/{path}", method)
        unknown = await stranger.ask(f"/admin/v1/tenants/nobody/{path}", method)
        assert (known.status, unknown.status) == (404, 404)
        assert known.document["code"] == unknown.document["code"] == "unknown_tenant"
        # Through one's own tenant the objects of others are not to be had either.
        if "/" in path:
            assert (await stranger.ask(f"/admin/v1/tenants/globex/{path}", method)).status == 404


async def test_everything_is_audited_by_name(admin: Admin) -> None:
    await make_tenant(admin)
    owner = await join(admin, "owner")
    member = await join(admin, "viewer")
    member_id, owner_id = await id_of(member), await id_of(owner)
    await change(owner, member_id, "developer")
    await owner.ask(f"/admin/v1/tenants/acme/members/{member_id}", "DELETE")
    async with admin.sql.connect() as connection:
        query = sa.select(audit_log.c.actor, audit_log.c.action).where(audit_log.c.chain == "acme")
        rows = (await connection.execute(query.order_by(audit_log.c.number))).all()
    assert [(row.actor, row.action) for row in rows][-2:] == [
        (f"user:{owner_id}", "member.update"), (f"user:{owner_id}", "member.delete"),
    ]  # fmt: skip
    assert [row.action for row in rows].count("invitation.create") == 2
    assert [row.action for row in rows].count("member.create") == 2


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"email": "nobody", "role": "viewer"}, "email"),
        ({"email": "a@b", "role": "root"}, "role"),
        ({"email": "a@b", "role": "viewer", "tenant": "globex"}, "tenant"),
        ({"email": "a@b", "role": "viewer", "lifetime_s": 10**9}, "lifetime_s"),
        ({"email": "a@b"}, "role"),
    ],
)
async def test_what_is_wrong_is_named(admin: Admin, body: dict[str, Any], named: str) -> None:
    await make_tenant(admin)
    status, problem = await admin.ask("/admin/v1/tenants/acme/invitations", "POST", json=body)
    assert (status, problem["code"]) == (422, "invalid_body")
    assert named in problem["detail"]
    status, problem = await admin.ask(
        "/admin/v1/tenants/nobody/invitations", "POST", json={"email": "a@b", "role": "viewer"}
    )
    assert (status, problem["code"]) == (404, "unknown_tenant")
