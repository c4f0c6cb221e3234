"""Signing in at a provider: the way there and back, and everything that must not lead in."""

from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from config.operator import IdentityConfig
from storage.tables import audit_log, members, tenants, users
from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser, tenant_of
from tests.fake_issuer import FakeIssuer


async def count(admin: Admin, table: sa.Table) -> int:
    async with admin.sql.connect() as connection:
        query = sa.select(sa.func.count()).select_from(table)
        return int((await connection.execute(query)).scalar_one())


async def test_a_first_login_makes_user_tenant_and_ownership(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    reply = await browser.log_in(issuer)
    assert (reply.status, reply.headers["Location"]) == (303, "/auth/session")
    session = await browser.learn_csrf()
    [(tenant, role)] = session["roles"].items()
    assert role == "owner"
    assert tenant.startswith("ada-")
    status = (await browser.ask(f"/admin/v1/tenants/{tenant}")).status
    assert status == 200
    assert admin.changes.is_set()
    async with admin.sql.connect() as connection:
        row = (await connection.execute(sa.select(tenants))).mappings().one()
        actions = (await connection.execute(sa.select(audit_log.c.action))).scalars().all()
    assert (row["tier"], row["managed_by"]) == ("free", "api")
    assert actions == ["tenant.create", "member.create"]


async def test_the_second_login_is_the_same_person(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    await browser.log_in(issuer)
    first = await browser.learn_csrf()
    issuer.person["email"] = "ada@elsewhere.example.com"  # an address may change, a subject not
    again = Browser(admin)
    await again.log_in(issuer)
    assert (await again.learn_csrf())["user_id"] == first["user_id"]
    assert (await count(admin, users), await count(admin, tenants)) == (1, 1)


async def test_the_same_address_at_another_subject_is_another_person(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    await browser.log_in(issuer)
    issuer.person["sub"] = "ada-2"
    other = Browser(admin)
    await other.log_in(issuer)
    assert await tenant_of(other) != await tenant_of(browser)
    assert await count(admin, users) == 2


@pytest.mark.parametrize(
    "methods", [["client_secret_post"], ["client_secret_basic", "client_secret_post"], None]
)
async def test_the_client_proves_itself_as_the_provider_wants(
    issuer: FakeIssuer, browser: Browser, methods: list[str] | None
) -> None:
    if methods is not None:
        issuer.metadata["token_endpoint_auth_methods_supported"] = methods
    assert (await browser.log_in(issuer)).status == 303
    assert issuer.refused == []


async def test_a_callback_is_good_once(issuer: FakeIssuer, browser: Browser) -> None:
    started = await browser.ask("/auth/login")
    back = issuer.authorize(started.headers["Location"])
    cookies = dict(browser.cookies)
    assert (await browser.ask(back)).status == 303
    browser.cookies = cookies
    reply = await browser.ask(back)
    assert (reply.status, reply.document["code"]) == (400, "login_failed")
    assert issuer.asked["/token"] == 1


async def test_a_callback_in_another_browser_leads_nowhere(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    """Nobody can be signed in to somebody else's account by a link."""
    started = await browser.ask("/auth/login")
    back = issuer.authorize(started.headers["Location"])
    victim = Browser(admin)
    await victim.ask("/auth/login")
    assert (await victim.ask(back)).status == 400
    assert (await victim.ask("/auth/session")).status == 401
    assert (await browser.ask(back)).status == 400  # a state is gone with the first try
    assert issuer.asked["/token"] == 0


async def test_a_login_takes_ten_minutes_at_most(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    started = await browser.ask("/auth/login")
    back = issuer.authorize(started.headers["Location"])
    admin.clock.later_s = 601
    assert (await browser.ask(back)).status == 400


@pytest.mark.parametrize(
    "change", ["state=x", "state=", "code=", "code=unknown", "iss=https://evil.example.com"]
)
async def test_a_callback_that_was_bent_leads_nowhere(
    issuer: FakeIssuer, browser: Browser, change: str
) -> None:
    started = await browser.ask("/auth/login")
    back = issuer.authorize(started.headers["Location"])
    name, _, value = change.partition("=")
    query = {each: values[0] for each, values in parse_qs(urlsplit(back).query).items()}
    bent = await browser.ask("/auth/callback", params={**query, name: value})
    assert (bent.status, bent.document["code"]) == (400, "login_failed")
    assert (await browser.ask("/auth/session")).status == 401


async def test_the_redirect_never_follows_the_host_header(
    issuer: FakeIssuer, browser: Browser
) -> None:
    started = await browser.ask("/auth/login", headers={"Host": "evil.example.com"})
    query = parse_qs(urlsplit(started.headers["Location"]).query)
    assert query["redirect_uri"][0].startswith("http://127.0.0.1:")
    assert issuer.url in started.headers["Location"]


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "evil", "",
        "/%0d%0aSet-Cookie:x", "javascript:alert(1)", "/a\\b", "/ a", "/\t/evil.example.com",
        "/@evil.example.com", "///evil.example.com", "/ä",
    ],
)  # fmt: skip
async def test_the_way_back_stays_on_this_host(
    issuer: FakeIssuer, browser: Browser, path: str
) -> None:
    reply = await browser.ask("/auth/login", params={"next": path})
    assert (reply.status, reply.document["code"]) == (422, "invalid_query")
    assert issuer.asked.total() == 0


async def test_the_way_back_may_be_a_path_with_a_query(
    issuer: FakeIssuer, browser: Browser
) -> None:
    reply = await browser.log_in(issuer, "?next=/admin/v1/tenants%3Flimit%3D5")
    assert reply.headers["Location"] == "/admin/v1/tenants?limit=5"


@pytest.mark.parametrize("verified", [False, None, "true", 1])
async def test_an_address_that_nobody_verified_is_none(
    admin: Admin, issuer: FakeIssuer, browser: Browser, verified: object
) -> None:
    issuer.person["email_verified"] = verified
    assert (await browser.log_in(issuer)).status == 400
    assert await count(admin, users) == 0


async def test_sign_up_can_be_by_invitation(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    issuers = {"fake": issuer.config()}
    admin.people.take(IdentityConfig(issuers=issuers, sign_up="invited"))
    assert (await browser.log_in(issuer)).status == 400
    admin.people.take(IdentityConfig(issuers=issuers, email_domains=("example.org",)))
    assert (await browser.log_in(issuer)).status == 400
    assert await count(admin, users) == 0
    admin.people.take(IdentityConfig(issuers=issuers, email_domains=("Example.com",)))
    assert (await browser.log_in(issuer)).status == 303


async def test_a_disabled_person_stays_outside(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    await browser.log_in(issuer)
    await tenant_of(browser)
    async with admin.sql.begin() as connection:
        await connection.execute(sa.update(users).values(disabled_at=sa.func.now()))
    assert (await browser.ask("/auth/session")).status == 401
    assert (await browser.log_in(issuer)).status == 400
    assert await count(admin, members) == 1


async def test_without_providers_nobody_signs_in(browser: Browser) -> None:
    reply = await browser.ask("/auth/login?issuer=google")
    assert (reply.status, reply.document["code"]) == (404, "unknown_issuer")


async def test_a_session_of_plain_http_is_for_development(
    issuer: FakeIssuer, browser: Browser
) -> None:
    """The cookies: over https a browser takes them from this very host alone."""
    reply = await browser.log_in(issuer)
    morsel = reply.set_cookies["apex_dev_session"]
    assert (bool(morsel["httponly"]), morsel["samesite"], morsel["path"]) == (True, "Lax", "/")
    assert not morsel["secure"]


async def test_over_https_cookies_are_of_this_host_alone(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    settings = {"issuers": {"fake": issuer.config()}, "public_url": "https://apex.example.com"}
    admin.people.take(IdentityConfig.model_validate(settings))
    started = await browser.ask("/auth/login")
    back = issuer.authorize(started.headers["Location"])
    assert back.startswith("https://apex.example.com/auth/callback?")
    reply = await browser.ask(back.removeprefix("https://apex.example.com"))
    assert reply.status == 303
    for name in ("__Host-apex_session", "__Host-apex_login"):
        morsel = reply.set_cookies[name]
        assert (bool(morsel["secure"]), bool(morsel["httponly"])) == (True, True)
        assert (morsel["samesite"], morsel["path"], morsel["domain"]) == ("Lax", "/", "")
    assert (await browser.ask("/auth/session")).status == 200
    plain = Browser(admin, {"apex_dev_session": browser.cookies["__Host-apex_session"]})
    assert (await plain.ask("/auth/session")).status == 401
