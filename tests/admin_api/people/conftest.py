"""Providers and browsers for the tests of people."""

from collections.abc import AsyncIterator, Callable

import pytest

from config.operator import IdentityConfig
from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser
from tests.fake_issuer import FakeIssuer

OpenBrowser = Callable[[], Browser]


@pytest.fixture
async def issuer(admin: Admin) -> AsyncIterator[FakeIssuer]:
    """A provider that the gateway trusts."""
    async with FakeIssuer() as issuer:
        admin.people.take(IdentityConfig(issuers={"fake": issuer.config()}))
        yield issuer


@pytest.fixture
def browser(admin: Admin) -> Browser:
    return Browser(admin)
