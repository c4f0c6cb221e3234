"""/admin/v1/users: the operator locks out, lets in again, and forgets a lost app."""

import base64

import pytest

from admin_api.people.totp import code_at, step_of
from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser


@pytest.fixture
async def browser(admin: Admin) -> Browser:
    browser = Browser(admin)
    await browser.dev_login()
    return browser


async def test_who_is_locked_out_is_out_at_once(admin: Admin, browser: Browser) -> None:
    user_id = (await browser.learn_csrf())["user_id"]
    path = f"/admin/v1/users/{user_id}"
    status, changed = await admin.ask(path, "PATCH", json={"is_disabled": True})
    assert status == 200
    assert changed["disabled_at"] is not None
    assert (await browser.ask("/auth/session")).status == 401
    body = {"email": "ada@example.com"}
    assert (await browser.ask("/auth/dev/login", "POST", json=body)).status == 400
    assert (await admin.ask(path, "PATCH", json={"is_disabled": False}))[0] == 200
    assert (await browser.ask("/auth/session")).status == 401
    await browser.dev_login()
    assert await admin.ask("/admin/v1/users") == (
        200, {"items": [(await admin.ask(path))[1]], "next_cursor": None},
    )  # fmt: skip


async def test_a_lost_app_is_forgotten(admin: Admin, browser: Browser) -> None:
    user_id = (await browser.learn_csrf())["user_id"]
    secret = (await browser.ask("/auth/totp", "POST")).document["secret"]
    code = code_at(base64.b32decode(secret), step_of(admin.clock.now()))
    assert (await browser.ask("/auth/totp/verify", "POST", json={"code": code})).status == 200
    assert (await browser.dev_login())["needs_second_factor"] is True
    path = f"/admin/v1/users/{user_id}"
    assert (await admin.ask(path))[1]["has_second_factor"] is True
    body = {"forget_second_factor": True}
    assert (await admin.ask(path, "PATCH", json=body))[1]["has_second_factor"] is False
    assert (await browser.dev_login())["needs_second_factor"] is False


async def test_nothing_secret_is_shown(admin: Admin, browser: Browser) -> None:
    secret = (await browser.ask("/auth/totp", "POST")).document["secret"]
    _, listed = await admin.ask("/admin/v1/users")
    assert secret not in str(listed)
    assert not [name for name in listed["items"][0] if "totp" in name or "secret" in name]


async def test_who_is_unknown_is_404(admin: Admin) -> None:
    for method, body in (("GET", None), ("PATCH", {"is_disabled": True})):
        status, problem = await admin.ask("/admin/v1/users/usr_x", method, json=body)
        assert (status, problem["code"]) == (404, "unknown_user")
