"""Sessions: new at each login, CSRF, expiry, revocation; the development login and its absence."""

import pytest
import sqlalchemy as sa

from admin_api.app import ROUTES
from admin_api.auth import METRICS_ROUTE, OPEN_ROUTES
from admin_api.people.guard import network_of
from storage.tables import members, sessions
from tests.admin_api.conftest import TOKEN, Admin, OpenAdmin
from tests.admin_api.people.browser import Browser, tenant_of
from tests.fake_issuer import FakeIssuer

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
COOKIE = "apex_dev_session"
PRODUCTION = {"APEX_ADMIN_TOKEN": "t" * 32, "APEX_MASTER_KEY": "m" * 32}


async def test_nobody_can_plant_a_session(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    """Session fixation: the cookie brought along is never the session, and ends when it was one."""
    browser.cookies[COOKIE] = "planted-by-somebody-else"
    await browser.log_in(issuer)
    first = browser.cookies[COOKIE]
    assert first != "planted-by-somebody-else"
    await browser.log_in(issuer)
    assert browser.cookies[COOKIE] != first
    assert (await Browser(admin, {COOKIE: first}).ask("/auth/session")).status == 401
    planted = Browser(admin, {COOKIE: "planted-by-somebody-else"})
    assert (await planted.ask("/auth/session")).status == 401


async def test_a_changing_call_needs_the_csrf_token(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    tenant = await tenant_of(browser)
    path = f"/admin/v1/tenants/{tenant}/invitations"
    body = {"email": "bob@example.com", "role": "viewer"}
    right, browser.csrf = browser.csrf, ""
    other = Browser(admin)
    await other.dev_login("eve@example.com")
    session_hash = await stored_hash(admin)
    for wrong in (
        "",
        "x",
        other.csrf,
        right[:-1],
        right.upper(),
        browser.cookies[COOKIE],
        session_hash,
    ):
        headers = {"X-CSRF-Token": wrong} if wrong else {}
        reply = await browser.ask(path, "POST", json=body, headers=headers)
        assert (reply.status, reply.document["code"]) == (403, "wrong_csrf_token")
        assert (await browser.ask("/auth/logout", "POST", headers=headers)).status == 403
    assert (await browser.ask(path)).status == 200  # reading needs none
    browser.csrf = right
    assert (await browser.ask(path, "POST", json=body)).status == 201


async def stored_hash(admin: Admin) -> str:
    async with admin.sql.connect() as connection:
        return str((await connection.execute(sa.select(sessions.c.csrf_hash))).scalars().first())


async def test_what_is_stored_opens_nothing(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    async with admin.sql.connect() as connection:
        row = (await connection.execute(sa.select(sessions))).mappings().one()
    for stolen in (row["session_hash"], row["csrf_hash"]):
        thief = Browser(admin, {COOKIE: stolen})
        assert (await thief.ask("/auth/session")).status == 401
    assert browser.cookies[COOKIE] not in str(dict(row))


async def test_a_session_ends_when_it_is_idle(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    for later_s in (3600, 7200, 10_800, 14_000):
        admin.clock.later_s = later_s
        assert (await browser.ask("/auth/session")).status == 200
    admin.clock.later_s = 14_000 + 7201
    assert (await browser.ask("/auth/session")).status == 401


async def test_a_session_ends_however_busy_it_is(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    for later_s in range(0, 43_200, 3600):
        admin.clock.later_s = later_s
        assert (await browser.ask("/auth/session")).status == 200
    admin.clock.later_s = 43_201
    assert (await browser.ask("/auth/session")).status == 401


async def test_logout_ends_the_session(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    kept = Browser(admin, dict(browser.cookies))
    reply = await browser.ask("/auth/logout", "POST")
    assert reply.status == 204
    assert browser.cookies == {}
    assert (await kept.ask("/auth/session")).status == 401
    assert (await kept.ask("/admin/v1/tenants")).status == 401


async def test_logout_everywhere_ends_all_of_them(admin: Admin, browser: Browser) -> None:
    phone = Browser(admin)
    await browser.dev_login()
    await phone.dev_login()
    assert (await browser.ask("/auth/logout", "POST", json={"everywhere": True})).status == 204
    assert (await phone.ask("/auth/session")).status == 401


async def test_ones_own_sessions_are_listed_and_ended(admin: Admin, browser: Browser) -> None:
    phone, eve = Browser(admin), Browser(admin)
    mine = await browser.dev_login()
    lost = await phone.dev_login()
    other = await eve.dev_login("eve@example.com")
    listed = (await browser.ask("/admin/v1/sessions")).document["items"]
    assert {each["session_id"] for each in listed} == {mine["session_id"], lost["session_id"]}
    path = f"/admin/v1/sessions/{other['session_id']}"
    assert (await browser.ask(path, "DELETE")).status == 404
    assert (await eve.ask("/auth/session")).status == 200
    path = f"/admin/v1/sessions/{lost['session_id']}"
    assert (await browser.ask(path, "DELETE")).status == 204
    assert (await phone.ask("/auth/session")).status == 401
    assert (await browser.ask(path, "DELETE")).status == 404


async def test_a_role_acts_at_once(admin: Admin, browser: Browser) -> None:
    await browser.dev_login()
    tenant = await tenant_of(browser)
    assert (await browser.ask(f"/admin/v1/tenants/{tenant}/members")).status == 200
    async with admin.sql.begin() as connection:
        await connection.execute(sa.update(members).values(role="viewer"))
    assert (await browser.ask(f"/admin/v1/tenants/{tenant}/members")).status == 403
    async with admin.sql.begin() as connection:
        await connection.execute(sa.delete(members))
    assert (await browser.ask(f"/admin/v1/tenants/{tenant}")).status == 404


async def test_a_bad_token_is_not_made_good_by_a_session(browser: Browser) -> None:
    await browser.dev_login()
    headers = {"Authorization": "Bearer nothing"}
    assert (await browser.ask("/admin/v1/tenants", headers=headers)).status == 401


async def test_the_operators_routes_stay_the_operators(browser: Browser) -> None:
    """Those in no table of resources too: what is not opened to people is not theirs."""
    await browser.dev_login()
    for method, route, _ in ROUTES:
        if route not in OPEN_ROUTES | {METRICS_ROUTE}:
            path = route.partition("{")[0] + ("x" if "{" in route else "")
            assert (await browser.ask(path, method)).status == 403, route
    assert (await browser.ask("/admin/v1/users")).status == 403
    reply = await browser.ask("/admin/v1/tenants", "POST", json={"name": "acme"})
    assert reply.status == 403
    assert (await browser.ask("/admin/v1/signing-keys", "POST", json={})).status == 403


@pytest.mark.parametrize(
    "environ",
    [
        {"APEX_ENVIRONMENT": "production", **PRODUCTION},
        {"APEX_ENVIRONMENT": "staging", **PRODUCTION},
        {"APEX_HOST": "0.0.0.0"},  # noqa: S104  the setting is what is tested
    ],
)
async def test_the_development_login_is_no_route_elsewhere(
    open_admin: OpenAdmin, environ: dict[str, str]
) -> None:
    admin = await open_admin(**environ)
    reply = await Browser(admin).ask(
        "/auth/dev/login", "POST", json={"email": "ada@example.com"}, headers=OPERATOR
    )
    assert (reply.status, reply.document["code"]) == (404, "not_found")
    assert "/auth/dev" not in reply.document["hint"]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Host": "evil.example.com"}, '{"email": "a@b"}', 400),
        ({"Host": "127.0.0.1.example.com"}, '{"email": "a@b"}', 400),
        ({"Content-Type": "text/plain"}, '{"email": "a@b"}', 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, '{"email": "a@b"}', 415),
        ({}, '{"email": "nobody"}', 400),
        ({}, '{"email": "a@b", "role": "owner"}', 422),
        ({}, "[]", 422),
        ({}, "{", 400),
    ],
)
async def test_no_page_of_another_site_uses_the_development_login(
    browser: Browser, headers: dict[str, str], body: str, status: int
) -> None:
    """A form needs no leave to be sent here, and a name of the site's own may lead here."""
    sent = {"Content-Type": "application/json", **headers}
    assert (await browser.ask("/auth/dev/login", "POST", data=body, headers=sent)).status == status


async def test_attempts_are_counted(admin: Admin, browser: Browser) -> None:
    signed_in = Browser(admin)
    await signed_in.dev_login()
    for _ in range(admin.people.attempts.most + 5):
        assert (await signed_in.ask("/auth/session")).status == 200
    for _ in range(admin.people.attempts.most - 1):
        assert (await browser.ask("/auth/session")).status == 401
    reply = await browser.ask("/auth/callback?state=x&code=y")
    assert (reply.status, reply.document["code"]) == (429, "too_many_attempts")
    assert int(reply.headers["Retry-After"]) > 0
    assert (await admin.ask("/admin/v1/tenants"))[0] == 200  # the operator does not come this way
    admin.clock.later_s = 60
    assert (await browser.ask("/auth/session")).status == 401


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_whose_attempts_are_counted_together(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_text_that_no_store_keeps_is_refused(admin: Admin) -> None:
    """What SQLite would take and PostgreSQL fail at."""
    for path in (
        "/admin/v1/users/%00", "/admin/v1/tenants/a%00b/members", "/admin/v1/tenants?cursor=AA==",
        "/auth/login?issuer=%00",
    ):  # fmt: skip
        assert (await admin.ask(path))[0] == 400, path
    body = {"name": "acme", "display_name": "a\0b"}
    assert (await admin.ask("/admin/v1/tenants", "POST", json=body))[0] == 400
