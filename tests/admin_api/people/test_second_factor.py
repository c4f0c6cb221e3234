"""The second factor: enrolled once, each code good once, few attempts, required in production."""

import asyncio
import base64
from typing import Any

import pytest
import sqlalchemy as sa

from admin_api.people.accounts import admit
from admin_api.people.oidc import Identity
from admin_api.people.sessions import make_session
from admin_api.people.totp import code_at, step_of
from config.operator import IdentityConfig
from storage.tables import audit_log, users
from tests.admin_api.conftest import Admin, OpenAdmin
from tests.admin_api.people.browser import Browser, Reply, tenant_of

PRODUCTION = {
    "APEX_ENVIRONMENT": "production", "APEX_ADMIN_TOKEN": "t" * 32, "APEX_MASTER_KEY": "m" * 32,
}  # fmt: skip


def code_of(admin: Admin, secret: str) -> str:
    return code_at(base64.b32decode(secret), step_of(admin.clock.now()))


async def verify(browser: Browser, code: str) -> Reply:
    reply = await browser.ask("/auth/totp/verify", "POST", json={"code": code})
    if reply.status == 200:
        await browser.learn_csrf()
    return reply


async def enrol(browser: Browser) -> tuple[str, list[str]]:
    """(secret, recovery codes) of a person who has an app from now on."""
    started = await browser.ask("/auth/totp", "POST")
    assert started.status == 201
    secret = started.document["secret"]
    assert secret in started.document["uri"]
    reply = await verify(browser, code_of(browser.admin, secret))
    assert reply.status == 200
    return secret, reply.document["recovery_codes"]


async def test_who_has_an_app_needs_it_at_every_login(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    tenant = await tenant_of(browser)
    secret, recovery = await enrol(browser)
    assert len(set(recovery)) == 10
    assert (await browser.ask(f"/admin/v1/tenants/{tenant}")).status == 200
    again = Browser(admin)
    session = await again.dev_login()
    assert (session["needs_second_factor"], session["roles"]) == (True, {})
    for path, method in (
        (f"/admin/v1/tenants/{tenant}", "GET"), ("/admin/v1/tenants", "GET"),
        ("/admin/v1/sessions", "GET"), ("/auth/totp", "DELETE"), ("/auth/token", "POST"),
    ):  # fmt: skip
        reply = await again.ask(path, method, json={} if method != "GET" else None)
        assert (reply.status, reply.document["code"]) == (403, "second_factor_needed"), path
    admin.clock.later_s += 30
    assert (await verify(again, code_of(admin, secret))).status == 200
    assert (await again.ask(f"/admin/v1/tenants/{tenant}")).status == 200


async def test_a_proof_makes_a_new_session(admin: Admin, browser: Browser) -> None:
    """Whoever knew the cookie of before does not share the proof."""
    await browser.dev_login()
    before = Browser(admin, dict(browser.cookies))
    await enrol(browser)
    assert (await before.ask("/auth/session")).status == 401


async def test_a_code_is_good_once(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    secret, _ = await enrol(browser)
    async with admin.sql.connect() as connection:
        step = (await connection.execute(sa.select(users.c.totp_last_step))).scalar_one()
    admin.people.codes.most = 100
    for around in (0, -1):  # the one of before is late as well
        replayed = code_at(base64.b32decode(secret), step + around)
        again = Browser(admin)
        await again.dev_login()
        reply = await verify(again, replayed)
        assert (reply.status, reply.document["code"]) == (403, "wrong_code")


async def test_of_many_at_once_one_is_first(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    secret, _ = await enrol(browser)
    admin.clock.later_s += 30
    admin.people.codes.most = 100
    thieves = [Browser(admin) for _ in range(6)]
    for thief in thieves:
        await thief.dev_login()
    code = code_of(admin, secret)
    replies = await asyncio.gather(*(verify(thief, code) for thief in thieves))
    assert sorted(reply.status for reply in replies) == [200] + [403] * 5


async def test_attempts_are_few_and_of_the_person(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    secret, _ = await enrol(browser)
    statuses = [(await verify(browser, "000000")).status for _ in range(5)]
    assert statuses == [403, 403, 403, 403, 429]  # the one that enrolled is counted
    again = Browser(admin)
    await again.dev_login()
    admin.clock.later_s += 30
    assert (await verify(again, code_of(admin, secret))).status == 429
    other = Browser(admin)
    await other.dev_login("bob@example.com")
    await enrol(other)
    admin.clock.later_s += 300
    assert (await verify(again, code_of(admin, secret))).status == 200


async def test_an_enrolment_counts_when_a_code_confirmed_it(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    first = (await browser.ask("/auth/totp", "POST")).document["secret"]
    second = (await browser.ask("/auth/totp", "POST")).document["secret"]
    assert first != second
    assert (await browser.learn_csrf())["needs_second_factor"] is False
    assert (await verify(browser, code_of(admin, first))).status == 403
    assert (await verify(browser, code_of(admin, second))).status == 200
    reply = await browser.ask("/auth/totp", "POST")
    assert (reply.status, reply.document["code"]) == (409, "already_enrolled")
    async with admin.sql.connect() as connection:
        sealed = (await connection.execute(sa.select(users.c.totp_secret_sealed))).scalar_one()
    assert base64.b32decode(second).hex().encode() not in sealed


async def test_a_recovery_code_is_good_once(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    _, recovery = await enrol(browser)
    for code, status in ((recovery[3], 200), (recovery[3], 403), (recovery[4].lower(), 200)):
        again = Browser(admin)
        await again.dev_login()
        assert (await verify(again, code)).status == status
    admin.clock.later_s = 600
    again = Browser(admin)
    await again.dev_login()
    assert (await verify(again, "A" * 16)).status == 403


async def test_an_app_is_taken_away_with_a_code_alone(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    secret, _ = await enrol(browser)
    reply = await browser.ask("/auth/totp", "DELETE", json={"code": "000000"})
    assert reply.status == 403
    admin.clock.later_s += 30
    body = {"code": code_of(admin, secret)}
    assert (await browser.ask("/auth/totp", "DELETE", json=body)).status == 204
    assert (await browser.ask("/auth/session")).status == 401
    again = Browser(admin)
    assert (await again.dev_login())["needs_second_factor"] is False
    async with admin.sql.connect() as connection:
        actions = (await connection.execute(sa.select(audit_log.c.action))).scalars().all()
    assert {"totp.enrol", "totp.delete"} <= set(actions)


@pytest.mark.parametrize("code", [None, 123456, "", "1", "x" * 33, ["000000"]])
async def test_what_is_no_code_is_not_counted(browser: Browser, code: Any) -> None:
    await browser.dev_login()
    for _ in range(7):
        reply = await browser.ask("/auth/totp/verify", "POST", json={"code": code})
        assert reply.status == 422


async def test_in_production_nobody_does_without(open_admin: OpenAdmin) -> None:
    """A session may do nothing but enrol."""
    admin = await open_admin(**PRODUCTION)
    admin.people.take(IdentityConfig(public_url="https://apex.example.com"))
    identity = Identity("https://accounts.example.com", "1", "ada@example.com")
    user_id = await admit(admin.context, identity, "")
    async with admin.sql.begin() as connection:
        secret = await make_session(connection, admin.people, user_id)
    browser = Browser(admin, {"__Host-apex_session": secret})
    session = await browser.learn_csrf()
    assert (session["needs_second_factor"], session["roles"]) == (True, {})
    for path in ("/admin/v1/tenants", "/admin/v1/sessions"):
        assert (await browser.ask(path)).status == 403
    assert (await browser.ask("/auth/token", "POST", json={"tenant": "x"})).status == 403
    await enrol(browser)
    assert (await browser.ask("/admin/v1/tenants")).status == 200
    assert (await browser.learn_csrf())["roles"]
