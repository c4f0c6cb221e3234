"""One identity provider (OpenID Connect, authorization code with PKCE): where it is, what it says.

logins.py keeps what a login is about while the person is away at the provider.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

from admin_api.people import opaque
from admin_api.people.fetching import IssuerError, Remembered, fetch_json
from admin_api.people.tokens import (
    ID_TOKEN_TYPES,
    Expected,
    TokenError,
    read_key_id,
    read_key_set,
    verify,
)
from config.clock import Clock
from config.operator import IssuerConfig, is_safe_url

SCOPE = "openid email profile"
DISCOVERY = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is: issuer and subject; the address is verified, and may change."""

    issuer: str
    subject: str
    email: str
    display_name: str = ""


@dataclass(frozen=True, slots=True)
class Journey:
    """What binds the way to the provider and the way back."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


class Issuer:
    """A provider and what is known of it, cached."""

    def __init__(self, config: IssuerConfig, clock: Clock) -> None:
        self.config = config
        self._clock = clock
        self._metadata = Remembered(self._read_metadata, clock)
        self._keys = Remembered(self._read_keys, clock)

    async def authorization_url(self, journey: Journey) -> str:
        """Where the person is sent. IssuerError."""
        endpoint = (await self._metadata.get())["authorization_endpoint"]
        challenge = hashlib.sha256(journey.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.config.client_id,
            "redirect_uri": journey.redirect_uri,
            "scope": SCOPE,
            "state": journey.state,
            "nonce": journey.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}?{urlencode(query)}"

    async def identify(self, code: str, journey: Journey) -> Identity:
        """Who came back with this code. IssuerError, TokenError."""
        token = await self._exchange(code, journey)
        expected = Expected(
            self.config.issuer, self.config.client_id, self.config.algorithms, ID_TOKEN_TYPES,
            self._clock.now(),
        )  # fmt: skip
        claims = verify(token, await self._find_key(read_key_id(token, expected)), expected)
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not opaque.is_same(nonce, journey.nonce):
            raise TokenError("its nonce is of another login")
        return _identity_of(claims)

    async def _exchange(self, code: str, journey: Journey) -> str:
        metadata = await self._metadata.get()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": journey.redirect_uri,
            "client_id": self.config.client_id,
            "code_verifier": journey.verifier,
        }
        auth = ""
        # RFC 6749, 2.3.1: the two are form-encoded before they are put together.
        if "client_secret_basic" in metadata["methods"]:
            name, secret = quote_plus(self.config.client_id), quote_plus(self.config.client_secret)
            auth = f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"
        else:
            form["client_secret"] = self.config.client_secret
        token = (await fetch_json(metadata["token_endpoint"], form, auth)).get("id_token")
        if not isinstance(token, str):
            raise IssuerError("it gave no ID token")
        return token

    async def _find_key(self, key_id: str) -> Any:
        """The key of this id; of a provider that names none, the only one."""
        for is_stale in (False, True):
            keys: Mapping[str, Any] = await self._keys.get(is_stale=is_stale)
            if key_id in keys:
                return keys[key_id]
            if not key_id and len(keys) == 1:
                return next(iter(keys.values()))
        raise TokenError("it is signed with an unknown key")

    async def _read_metadata(self) -> dict[str, Any]:
        found = await fetch_json(self.config.issuer.rstrip("/") + DISCOVERY)
        if found.get("issuer") != self.config.issuer:
            raise IssuerError("its discovery document is of another issuer")
        endpoints = {name: found.get(name) for name in ENDPOINTS}
        if not all(self._is_allowed(url) for url in endpoints.values()):
            raise IssuerError("its discovery document names an endpoint that is not https")
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return {**endpoints, "methods": methods if isinstance(methods, list) else []}

    def _is_allowed(self, url: object) -> bool:
        """Plain http is of a provider on this machine, in development, alone."""
        is_local = self.config.issuer.startswith("http://")
        is_text = isinstance(url, str) and (is_local or url.startswith("https://"))
        return is_text and is_safe_url(str(url))

    async def _read_keys(self) -> dict[str, Any]:
        document = await fetch_json((await self._metadata.get())["jwks_uri"])
        try:
            return read_key_set(document, self.config.algorithms)
        except TokenError as error:
            raise IssuerError(str(error)) from None


def _identity_of(claims: Mapping[str, Any]) -> Identity:
    email, name = claims.get("email"), claims.get("name", "")
    if not isinstance(email, str) or not is_address(email):
        raise TokenError("it names no e-mail address")
    if claims.get("email_verified") is not True:
        raise TokenError("its e-mail address is not verified")
    shown = name[:200] if isinstance(name, str) and name.isprintable() else ""
    return Identity(claims["iss"], claims["sub"], email, shown)


def is_address(text: str) -> bool:
    """Whether it may be an e-mail address; the provider has tried it."""
    name, _, domain = text.rpartition("@")
    return bool(name and domain) and len(text) <= 320 and text.isprintable() and " " not in text
