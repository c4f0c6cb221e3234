"""What people and providers bring along is in no log, no error and, as it is, in no file."""

import base64
import logging
from pathlib import Path
from typing import Any

import pytest

from admin_api.people.totp import code_at, step_of
from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser, tenant_of
from tests.fake_issuer import CLIENT_SECRET, FakeIssuer

Planted = dict[str, str]


async def sign_in(browser: Browser, issuer: FakeIssuer) -> tuple[Planted, list[Any]]:
    """Through the provider, and once more with what was used up."""
    started = await browser.ask("/auth/login")
    back = issuer.authorize(started.headers["Location"])
    [(code, grant)] = issuer.grants.items()
    planted = {
        "client secret": CLIENT_SECRET,
        "code": code,
        "state": grant.query["state"],
        "nonce": grant.query["nonce"],
        "login cookie": browser.cookies["apex_dev_login"],
    }
    await browser.ask(back)
    planted["session"] = browser.cookies["apex_dev_session"]
    return planted, [(await browser.ask(back)).document]


async def prove(browser: Browser) -> tuple[Planted, list[Any]]:
    """A one-time code, and one that is too long to be one."""
    await browser.learn_csrf()
    secret = (await browser.ask("/auth/totp", "POST")).document["secret"]
    right = code_at(base64.b32decode(secret), step_of(browser.admin.clock.now()))
    verified = await browser.ask("/auth/totp/verify", "POST", json={"code": right})
    planted = {
        "app": secret,
        "recovery code": verified.document["recovery_codes"][0],
        "session after the proof": browser.cookies["apex_dev_session"],
    }
    await browser.learn_csrf()
    body = {"code": planted["recovery code"] + "x" * 40}
    return planted, [(await browser.ask("/auth/totp/verify", "POST", json=body)).document]


async def hand_out(browser: Browser, issuer: FakeIssuer) -> tuple[Planted, list[Any]]:
    """Tokens, renewed twice, and an invitation that somebody else tries."""
    tenant = await tenant_of(browser)
    path = f"/admin/v1/tenants/{tenant}/invitations"
    pair = (await browser.ask("/auth/token", "POST", json={"tenant": tenant})).document
    body = {"email": "bob@example.com", "role": "viewer"}
    invited = (await browser.ask(path, "POST", json=body)).document["token"]
    planted = {"access": pair["access_token"], "refresh": pair["refresh_token"]}
    planted |= {"invitation": invited, "csrf token": browser.csrf}
    used = {"refresh_token": pair["refresh_token"]}
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    await browser.ask("/auth/token/refresh", "POST", json=used)
    replies = [
        await browser.ask("/auth/token/refresh", "POST", json=used),
        await browser.ask(path, headers=bearer),
        await Browser(browser.admin).log_in(issuer, f"?invitation={invited}"),
    ]
    return planted, [reply.document for reply in replies]


async def test_no_secret_leaves_a_trace(
    issuer: FakeIssuer, browser: Browser, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    planted: Planted = {}
    refusals: list[Any] = []
    for secrets, answers in (
        await sign_in(browser, issuer), await prove(browser), await hand_out(browser, issuer),
    ):  # fmt: skip
        planted |= secrets
        refusals += answers
    assert [each["code"] for each in refusals] == [
        "login_failed", "invalid_body", "invalid_grant", "wrong_token", "login_failed",
    ]  # fmt: skip
    texts = {"logs": caplog.text.encode(), "refusals": str(refusals).encode()}
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(name.startswith("apex.db") for name in files)
    assert "a refresh token was refused" in caplog.text
    for what, value in planted.items():
        places = [place for place, data in {**texts, **files}.items() if value.encode() in data]
        assert not places, what


async def test_what_is_shown_of_secrets_is_nothing(admin: Admin, issuer: FakeIssuer) -> None:
    config = issuer.config()
    assert CLIENT_SECRET not in repr(config)
    assert CLIENT_SECRET not in repr(admin.people.identity)
