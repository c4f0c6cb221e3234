"""A person with a browser, for the tests: keeps cookies by name, follows no redirect by itself."""

from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

from tests.admin_api.conftest import Admin
from tests.fake_issuer import FakeIssuer

JSON_TYPES = ("application/json", "application/problem+json")


@dataclass(slots=True)
class Reply:
    """What came back."""

    status: int
    document: Any
    headers: CIMultiDictProxy[str]
    set_cookies: SimpleCookie


@dataclass(slots=True)
class Browser:
    """Sends every cookie it was given, and the CSRF token once it has asked for it."""

    admin: Admin
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    async def ask(self, path: str, method: str = "GET", **options: Any) -> Reply:
        headers = {"X-CSRF-Token": self.csrf} if self.csrf else {}
        headers |= options.pop("headers", {})
        if self.cookies:
            pairs = (f"{name}={value}" for name, value in self.cookies.items())
            headers.setdefault("Cookie", "; ".join(pairs))
        url = path if path.startswith("http") else f"{self.admin.url}{path}"
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                method, url, headers=headers, allow_redirects=False, **options
            ) as reply,
        ):
            is_json = reply.content_type in JSON_TYPES
            document = await reply.json(content_type=None) if is_json else await reply.text()
            self._keep(reply.cookies)
            return Reply(reply.status, document, reply.headers, reply.cookies)

    def _keep(self, given: SimpleCookie) -> None:
        for name, morsel in given.items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)

    async def learn_csrf(self) -> dict[str, Any]:
        """What /auth/session says; its CSRF token goes along from now on."""
        reply = await self.ask("/auth/session")
        assert reply.status == 200, reply.document
        self.csrf = reply.document["csrf_token"]
        session: dict[str, Any] = reply.document
        return session

    async def dev_login(self, email: str = "ada@example.com", **fields: str) -> dict[str, Any]:
        """A session by the development login: what /auth/session says."""
        reply = await self.ask("/auth/dev/login", "POST", json={"email": email, **fields})
        assert reply.status == 204, reply.document
        return await self.learn_csrf()

    async def log_in(self, issuer: FakeIssuer, query: str = "") -> Reply:
        """The whole way to the provider and back: what the callback answers."""
        started = await self.ask(f"/auth/login{query}")
        assert started.status == 302, started.document
        return await self.ask(issuer.authorize(started.headers["Location"]))


async def tenant_of(browser: Browser) -> str:
    """The only tenant a person has a part in."""
    [tenant] = (await browser.learn_csrf())["roles"]
    return str(tenant)
