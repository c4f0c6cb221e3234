"""ID tokens that prove nothing: the attack corpus, each through a whole login (ASVS 9.1, 9.2)."""

import base64
from datetime import timedelta
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.warnings import InsecureKeyLengthWarning

from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser
from tests.fake_issuer import CLIENT_ID, KEYS, FakeIssuer, describe

OWN_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  on purpose


async def log_in(browser: Browser, issuer: FakeIssuer) -> int:
    """The status of a whole login; nothing but a good one leaves a session."""
    reply = await browser.log_in(issuer)
    session = await browser.ask("/auth/session")
    assert (session.status == 200) is (reply.status == 303)
    if reply.status != 303:
        assert reply.document["code"] == "login_failed"
        assert "token" not in reply.document["detail"]
    return reply.status


async def give(browser: Browser, issuer: FakeIssuer, make: Any) -> int:
    """The status of a login for which the provider gives `make(claims)` as its token."""
    started = await browser.ask("/auth/login")
    back = issuer.authorize(started.headers["Location"])
    nonce = list(issuer.grants.values())[-1].query["nonce"]
    issuer.token = make(issuer.make_claims(nonce, issuer.person))
    status = (await browser.ask(back)).status
    assert ((await browser.ask("/auth/session")).status == 200) is (status == 303)
    return status


def encode(part: object) -> str:
    data = part if isinstance(part, bytes) else orjson.dumps(part)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def public_pem(kid: str) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return KEYS[kid].public_key().public_bytes(serialization.Encoding.PEM, form)


def sign_hmac(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """What the library refuses to make: a symmetric signature with a public key as the secret."""
    import hashlib
    import hmac

    signed = f"{encode(header)}.{encode(claims)}"
    return f"{signed}.{encode(hmac.digest(key, signed.encode(), hashlib.sha256))}"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://accounts.example.com"},
        {"iss": None},
        {"aud": "somebody-else"},
        {"aud": None},
        {"aud": []},
        {"aud": [CLIENT_ID, "somebody-else"]},
        {"aud": [CLIENT_ID, "somebody-else"], "azp": "somebody-else"},
        {"azp": "somebody-else"},
        {"exp": timedelta(seconds=-61)},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": 1e300},
        {"nbf": timedelta(seconds=120)},
        {"nbf": "now"},
        {"iat": timedelta(seconds=120)},
        {"iat": None},
        {"nonce": "of-another-login"},
        {"nonce": None},
        {"nonce": ["x"]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "ada\0"},
        {"email": None},
        {"email": "nobody"},
        {"email": "a@b\nBcc: c@d"},
        {"email": {"a": 1}},
    ],
)
async def test_claims_that_are_not_about_this_login(
    issuer: FakeIssuer, browser: Browser, claims: dict[str, Any]
) -> None:
    issuer.claims = claims
    assert await log_in(browser, issuer) == 400


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT_ID]},
        {"aud": [CLIENT_ID, "somebody-else"], "azp": CLIENT_ID},
        {"exp": timedelta(seconds=-30)},  # a minute of difference between clocks is nobody's fault
        {"nbf": timedelta(seconds=30)},
    ],
)
async def test_claims_that_are(
    issuer: FakeIssuer, browser: Browser, claims: dict[str, Any]
) -> None:
    issuer.claims = claims
    assert await log_in(browser, issuer) == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "at+jwt"},
        {"typ": "dpop+jwt"},
        {"kid": "unknown"},
        {"kid": "../../etc/passwd"},
        {"kid": "a' OR 1=1 --"},
        {"kid": "a\n"},
        {"kid": "x" * 300},
        {"jku": "https://evil.example.com/keys"},
        {"x5u": "https://evil.example.com/cert"},
        {"x5c": ["MIIB"]},
        {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
        {"crit": ["exp"]},
        {"zip": "DEF"},
    ],
)
async def test_headers_that_choose_how_they_are_checked(
    issuer: FakeIssuer, browser: Browser, headers: dict[str, Any]
) -> None:
    issuer.headers = headers
    assert await log_in(browser, issuer) == 400


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
async def test_no_signature_is_none(issuer: FakeIssuer, browser: Browser, alg: str) -> None:
    def make(claims: dict[str, Any]) -> str:
        return f"{encode({'alg': alg, 'kid': 'a'})}.{encode(claims)}."

    assert await give(browser, issuer, make) == 400


@pytest.mark.parametrize("alg", ["HS256", "RS256"])
async def test_a_public_key_is_no_shared_secret(
    issuer: FakeIssuer, browser: Browser, alg: str
) -> None:
    def make(claims: dict[str, Any]) -> str:
        return sign_hmac({"alg": alg, "kid": "a", "typ": "JWT"}, claims, public_pem("a"))

    assert await give(browser, issuer, make) == 400


async def test_an_embedded_key_of_the_attackers_is_not_used(
    issuer: FakeIssuer, browser: Browser
) -> None:
    own = jwt.algorithms.RSAAlgorithm.to_jwk(OWN_RSA.public_key(), as_dict=True)

    def make(claims: dict[str, Any]) -> str:
        headers = {"kid": "a", "jwk": own}
        return jwt.encode(claims, OWN_RSA, algorithm="RS256", headers=headers)

    assert await give(browser, issuer, make) == 400


@pytest.mark.parametrize("kid", ["a", "b", ""])
async def test_another_key_does_not_sign(issuer: FakeIssuer, browser: Browser, kid: str) -> None:
    issuer.published = [describe("a"), describe("b")]

    def make(claims: dict[str, Any]) -> str:
        return jwt.encode(claims, OWN_RSA, algorithm="RS256", headers={"kid": kid})

    assert await give(browser, issuer, make) == 400


async def test_an_algorithm_that_is_not_on_the_list_is_refused(
    issuer: FakeIssuer, browser: Browser
) -> None:
    """Even where the provider publishes a key for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    published = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    issuer.published.append({**published, "kid": "ec", "alg": "ES256", "use": "sig"})

    def make(claims: dict[str, Any]) -> str:
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "ec"})

    assert await give(browser, issuer, make) == 400
    for algorithm in ("RS512", "PS256"):

        def make_other(claims: dict[str, Any], algorithm: str = algorithm) -> str:
            return jwt.encode(claims, KEYS["a"], algorithm=algorithm, headers={"kid": "a"})

        assert await give(browser, issuer, make_other) == 400


async def test_weak_and_symmetric_keys_of_a_provider_are_not_used(
    issuer: FakeIssuer, browser: Browser
) -> None:
    weak = jwt.algorithms.RSAAlgorithm.to_jwk(WEAK_RSA.public_key(), as_dict=True)
    issuer.published = [
        {**weak, "kid": "weak", "alg": "RS256", "use": "sig"},
        {"kty": "oct", "k": encode(b"s" * 32), "kid": "oct", "alg": "HS256"},
        {"kty": "oct", "k": encode(b"s" * 32), "kid": "bare"},
        {**describe("b", use="enc"), "kid": "enc"},
        {"kty": "RSA", "kid": "broken"},
        describe("a"),
    ]

    def make_weak(claims: dict[str, Any]) -> str:
        with pytest.warns(InsecureKeyLengthWarning):
            return jwt.encode(claims, WEAK_RSA, algorithm="RS256", headers={"kid": "weak"})

    def make_encrypting(claims: dict[str, Any]) -> str:
        return jwt.encode(claims, KEYS["b"], algorithm="RS256", headers={"kid": "enc"})

    assert await give(browser, issuer, make_weak) == 400
    assert await give(browser, issuer, make_encrypting) == 400
    for kid in ("oct", "bare"):

        def make_shared(claims: dict[str, Any], kid: str = kid) -> str:
            return sign_hmac({"alg": "HS256", "kid": kid}, claims, b"s" * 32)

        assert await give(browser, issuer, make_shared) == 400
    issuer.token = None
    assert await log_in(browser, issuer) == 303


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.é.é", " ", "e30.e30.e30", "x" * 9000,
        f"{encode({'alg': 'RS256', 'kid': 'a'})}.{'A' * 7000}.AAAA",
        f"{encode([])}.e30.AAAA", f"{encode({'alg': ['RS256']})}.e30.AAAA",
        f"{encode({'alg': 'RS256', 'kid': 7})}.e30.AAAA", f"{encode(b'[' * 900)}.e30.AAAA",
    ],
)  # fmt: skip
async def test_what_is_no_token_is_refused_without_a_crash(
    issuer: FakeIssuer, browser: Browser, token: str
) -> None:
    assert await give(browser, issuer, lambda _: token or "\0") == 400


async def test_a_token_that_was_altered_is_refused(issuer: FakeIssuer, browser: Browser) -> None:
    def make(claims: dict[str, Any]) -> str:
        good = jwt.encode(claims, KEYS["a"], algorithm="RS256", headers={"kid": "a"})
        head, _, signature = good.split(".")
        return f"{head}.{encode({**claims, 'sub': 'eve'})}.{signature}"

    assert await give(browser, issuer, make) == 400


async def test_a_provider_changes_its_keys_with_and_without_overlap(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    assert await log_in(browser, issuer) == 303
    issuer.published = [describe("a"), describe("b")]
    issuer.kid = "b"
    admin.clock.later_s = 61
    assert await log_in(Browser(admin), issuer) == 303
    issuer.published = [describe("b")]
    assert await log_in(Browser(admin), issuer) == 303
    assert issuer.asked["/keys"] == 2


async def test_unknown_keys_make_nobody_ask_more_than_once_a_minute(
    admin: Admin, issuer: FakeIssuer, browser: Browser
) -> None:
    assert await log_in(browser, issuer) == 303
    issuer.headers = {"kid": "unknown"}
    for _ in range(5):
        assert await log_in(Browser(admin), issuer) == 400
    assert issuer.asked["/keys"] == 1
    admin.clock.later_s = 61
    for _ in range(5):
        assert await log_in(Browser(admin), issuer) == 400
    assert issuer.asked["/keys"] == 2
