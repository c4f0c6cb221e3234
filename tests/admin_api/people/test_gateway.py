"""People at a whole gateway: signed in, reloaded, restarted; and production without a dev login."""

import itertools
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser, tenant_of
from tests.fake_issuer import CLIENT_ID, CLIENT_SECRET, FakeIssuer
from tests.gateway import ACME_CONFIG, Gateway, wait_until

pytestmark = pytest.mark.e2e


@dataclass(slots=True)
class Place:
    """Where a browser goes; all that it needs of an Admin."""

    url: str


def open_browser(gateway: Gateway) -> Browser:
    return Browser(cast("Admin", Place(gateway.admin_url)))


def config_of(issuer: FakeIssuer, sign_up: str) -> str:
    return f"""
upstreams: {{mock: {{kind: mock}}}}
default_upstream: mock
identity:
  sign_up: {sign_up}
  attempts_per_minute: 100000
  issuers:
    fake: {{issuer: "{issuer.url}", client_id: {CLIENT_ID}, client_secret: "env:FAKE_SECRET"}}
"""


async def test_a_person_signs_in_and_stays_signed_in(tmp_path: Path) -> None:
    async with FakeIssuer() as issuer:
        environ = {"FAKE_SECRET": CLIENT_SECRET}
        config = config_of(issuer, "open")
        async with Gateway(tmp_path, config=config, environ=environ) as gateway:
            browser = open_browser(gateway)
            assert (await browser.log_in(issuer)).status == 303
            tenant = await tenant_of(browser)
            reply = await browser.ask("/auth/token", "POST", json={"tenant": tenant})
            access = reply.document["access_token"]
            path = f"/admin/v1/tenants/{tenant}"
            assert (await gateway.admin(path, token=access))[0] == 200
            assert (await gateway.admin("/admin/v1/users", token=access))[0] == 403

            gateway.config_path.write_text(config_of(issuer, "invited"))
            gateway.kill("supervisor", signal.SIGHUP)
            strangers = itertools.count()

            async def is_closed() -> bool:
                issuer.person["sub"] = f"stranger-{next(strangers)}"
                return (await open_browser(gateway).log_in(issuer)).status == 400

            await wait_until(is_closed, 60.0, what="sign-up is by invitation")
            await gateway.kill_and_wait_for_restart("control")
            await gateway.wait_until_ready()
            again = Browser(cast("Admin", Place(gateway.admin_url)), dict(browser.cookies))
            assert await tenant_of(again) == tenant
            for secret in (CLIENT_SECRET, access, *browser.cookies.values(), browser.csrf):
                assert secret not in gateway.output


async def test_in_production_nobody_is_whoever_they_say(tmp_path: Path) -> None:
    environ = {
        "APEX_ENVIRONMENT": "production", "APEX_ADMIN_TOKEN": "t" * 32, "APEX_MASTER_KEY": "m" * 32,
    }  # fmt: skip
    async with Gateway(tmp_path, config=ACME_CONFIG, environ=environ) as gateway:
        for token in ("", None):
            status, problem = await gateway.admin(
                "/auth/dev/login", method="POST", token=token, json={"email": "ada@example.com"}
            )
            assert (status, problem["code"]) == (404, "not_found")
