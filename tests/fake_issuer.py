"""A scripted OpenID Connect provider over a real socket: signs in whom a test says, as it says.

    async with FakeIssuer() as issuer:
        issuer.person = {"sub": "1", "email": "ada@example.com", "email_verified": True}
        ... follow the Location of /auth/login with issuer.authorize(url) ...

`claims`, `headers` and `signer` bend the next ID tokens; `is_away` answers 500 to everything.
"""

import base64
import hashlib
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa

from config.operator import IssuerConfig

CLIENT_ID, CLIENT_SECRET = "apex-client", "apex-client-secret:/?"
ADA = {"sub": "ada-1", "email": "ada@example.com", "email_verified": True, "name": "Ada"}
# Made once: a key of this size takes a tenth of a second.
KEYS = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("a", "b")}


def describe(kid: str, **changes: Any) -> dict[str, Any]:
    """A public key of the provider as it publishes it."""
    described = jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[kid].public_key(), as_dict=True)
    return {**described, "kid": kid, "alg": "RS256", "use": "sig", **changes}


@dataclass(slots=True)
class Grant:
    """What a code was given for."""

    query: dict[str, str]
    person: dict[str, Any]
    is_used: bool = False


@dataclass(slots=True)
class FakeIssuer:
    """The provider; `asked` counts the calls of each path."""

    person: dict[str, Any] = field(default_factory=lambda: dict(ADA))
    claims: dict[str, Any] = field(default_factory=dict)  # None takes a claim out
    headers: dict[str, Any] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=lambda: [describe("a")])
    metadata: dict[str, Any] = field(default_factory=dict)
    kid: str = "a"
    token: str | None = None  # given out as it is
    is_away: bool = False
    now_s: float | None = None
    asked: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, bytes] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    url: str = ""
    _server: TestServer | None = None

    async def __aenter__(self) -> "FakeIssuer":
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discover)
        app.router.add_get("/keys", self._show_keys)
        app.router.add_post("/token", self._exchange)
        self._server = TestServer(app)
        await self._server.start_server(access_log=None)
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        await self._server.close()

    def config(self, **changes: Any) -> IssuerConfig:
        """What apex.yaml says of it."""
        known = {"issuer": self.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return IssuerConfig.model_validate({**known, **changes})

    def authorize(self, url: str) -> str:
        """The person signs in at the URL that the gateway sends them to: where they are sent back.

        The checks of a real provider: everything that the protocol asks of a client is there.
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.url}/authorize?")
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        assert {"openid", "email"} <= set(query["scope"].split())
        assert min(len(query[name]) for name in ("state", "nonce", "code_challenge")) >= 43
        code = secrets.token_urlsafe(16)
        self.grants[code] = Grant(query, dict(self.person))
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def make_claims(self, nonce: str, person: dict[str, Any]) -> dict[str, Any]:
        """The claims as the test bent them; a timedelta is a moment from now."""
        now = time.time() if self.now_s is None else self.now_s  # noqa: TID251  its own clock
        claims = {
            "iss": self.url, "aud": CLIENT_ID, "iat": int(now), "exp": int(now) + 300,
            "nonce": nonce, **person, **self.claims,
        }  # fmt: skip
        return {
            name: int(now + value.total_seconds()) if isinstance(value, timedelta) else value
            for name, value in claims.items()
            if value is not None
        }

    def sign(self, nonce: str, person: dict[str, Any]) -> str:
        """The ID token as the test bent it."""
        headers = {"kid": self.kid, **self.headers}
        claims = self.make_claims(nonce, person)
        return jwt.encode(claims, KEYS[self.kid], algorithm="RS256", headers=headers)

    async def _discover(self, request: web.Request) -> web.Response:
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            **self.metadata,
        }
        return self._answer(request, document)

    async def _show_keys(self, request: web.Request) -> web.Response:
        return self._answer(request, {"keys": self.published})

    async def _exchange(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        fault = self._find_fault(request, form)
        if fault:
            self.refused.append(fault)
            return web.json_response({"error": fault}, status=400)
        grant = self.grants[form["code"]]
        grant.is_used = True
        token = self.token or self.sign(grant.query["nonce"], grant.person)
        return self._answer(request, {"access_token": "none-of-ours", "id_token": token})

    def _find_fault(self, request: web.Request, form: dict[str, str]) -> str:
        grant = self.grants.get(form.get("code", ""))
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        spelled = base64.urlsafe_b64encode(challenge).decode().rstrip("=")
        if not self._is_client(request, form):
            return "invalid_client"
        if grant is None or grant.is_used:
            return "invalid_grant"
        if spelled != grant.query["code_challenge"]:
            return "wrong_verifier"
        return "" if form.get("redirect_uri") == grant.query["redirect_uri"] else "wrong_redirect"

    def _is_client(self, request: web.Request, form: dict[str, str]) -> bool:
        if "client_secret" in form:
            return form["client_secret"] == CLIENT_SECRET
        quoted = f"{CLIENT_ID}:apex-client-secret%3A%2F%3F"
        expected = f"Basic {base64.b64encode(quoted.encode()).decode()}"
        return request.headers.get("Authorization") == expected

    def _answer(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        self.asked[request.path] += 1
        if self.is_away:
            return web.Response(status=500)
        if request.path in self.bodies:
            return web.Response(body=self.bodies[request.path])
        return web.json_response(document)
