"""What a provider says of itself has to be what was declared; and what it must not say."""

from typing import Any

import pytest

from admin_api.people.oidc import is_address
from config.errors import ConfigError
from config.operator import IdentityConfig
from tests.admin_api.conftest import Admin, OpenAdmin
from tests.admin_api.people.browser import Browser
from tests.fake_issuer import FakeIssuer

PRODUCTION = {
    "APEX_ENVIRONMENT": "production", "APEX_ADMIN_TOKEN": "t" * 32, "APEX_MASTER_KEY": "m" * 32,
}  # fmt: skip


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://accounts.example.com"},
        {"issuer": None},
        {"token_endpoint": "http://token.example.com/"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_a_discovery_document_that_is_not_the_issuers_is_refused(
    issuer: FakeIssuer, browser: Browser, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata
    reply = await browser.ask("/auth/login")
    assert (reply.status, reply.document["code"]) == (400, "login_failed")


async def test_a_provider_that_is_away_lets_nobody_in(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    started = await browser.ask("/auth/login")
    back = issuer.authorize(started.headers["Location"])
    issuer.is_away = True
    assert (await browser.ask(back)).status == 400
    assert (await Browser(admin).ask("/auth/login")).status == 302  # known for an hour


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ({"public_url": "http://127.0.0.1:8081"}, "identity.public_url is not https"),
        (
            {
                "public_url": "https://apex.example.com",
                "issuers": {
                    "x": {"issuer": "http://127.0.0.1:1", "client_id": "a", "client_secret": "b"}
                },
            },
            "identity.issuers.x.issuer is not https",
        ),
        (
            {
                "issuers": {
                    "x": {"issuer": "https://x.example", "client_id": "a", "client_secret": "b"}
                }
            },
            "identity.public_url is missing",
        ),
    ],
)
async def test_plain_http_is_for_development(
    open_admin: OpenAdmin, identity: dict[str, Any], said: str
) -> None:
    config = IdentityConfig.model_validate(identity)
    (await open_admin()).people.take(config)
    admin = await open_admin(**PRODUCTION)
    with pytest.raises(ConfigError) as caught:
        admin.people.take(config)
    assert said in caught.value.message


async def test_a_reload_keeps_what_is_known_of_a_provider(admin: Admin, issuer: FakeIssuer) -> None:
    known = admin.people.issuers["fake"]
    admin.people.take(IdentityConfig(issuers={"fake": issuer.config()}, sign_up="invited"))
    assert admin.people.issuers["fake"] is known
    admin.people.take(IdentityConfig(issuers={"fake": issuer.config(client_id="other")}))
    assert admin.people.issuers["fake"] is not known
    admin.people.take(IdentityConfig())
    assert admin.people.issuers == {}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("ada@example.com", True), ("a@b", True), ("@b", False), ("a@", False), ("", False),
        ("a b@c", False), ("a@b\n", False), ("a" * 320 + "@b", False),
    ],
)  # fmt: skip
def test_what_may_be_an_address(text: str, is_one: bool) -> None:
    assert is_address(text) is is_one
