"""API tokens of people: what they open, how they are renewed, and what is no such token."""

import asyncio
import base64
import hashlib
import hmac
from typing import Any

import jwt
import orjson
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from admin_api.people.signing_keys import key_to_sign, rotate
from config.operator import IdentityConfig
from storage.tables import members, refresh_tokens, signing_keys
from tests.admin_api.conftest import Admin
from tests.admin_api.people.browser import Browser, tenant_of
from tests.fake_issuer import FakeIssuer

KEYS = "/.well-known/jwks.json"


class Program:
    """What a person hands a token to."""

    def __init__(self, admin: Admin, pair: dict[str, Any], tenant: str) -> None:
        self.admin, self.pair, self.tenant = admin, pair, tenant

    async def call(self, token: str | None = None, path: str = "") -> int:
        headers = {"Authorization": f"Bearer {token or self.pair['access_token']}"}
        path = path or f"/admin/v1/tenants/{self.tenant}"
        status, _ = await self.admin.ask(path, headers=headers)
        return status

    async def renew(self, refresh_token: str | None = None) -> tuple[int, Any]:
        body = {"refresh_token": refresh_token or self.pair["refresh_token"]}
        return await self.admin.ask("/auth/token/refresh", "POST", json=body, headers={})


@pytest.fixture
async def program(admin: Admin, browser: Browser) -> Program:
    await browser.dev_login()
    tenant = await tenant_of(browser)
    reply = await browser.ask("/auth/token", "POST", json={"tenant": tenant})
    assert reply.status == 200
    assert reply.document["token_type"] == "Bearer"
    assert reply.document["expires_in"] == 900
    return Program(admin, reply.document, tenant)


def encode(part: object) -> str:
    data = part if isinstance(part, bytes) else orjson.dumps(part)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


async def test_a_token_calls_without_cookie_and_csrf(program: Program) -> None:
    assert await program.call() == 200
    status, made = await program.admin.ask(
        f"/admin/v1/tenants/{program.tenant}/invitations",
        "POST",
        json={"email": "bob@example.com", "role": "viewer"},
        headers={"Authorization": f"Bearer {program.pair['access_token']}"},
    )
    assert (status, made["role"]) == (201, "viewer")


async def test_a_token_is_for_one_tenant(admin: Admin, browser: Browser, program: Program) -> None:
    """A person of two tenants, whose program has a part in one."""
    user_id = (await browser.learn_csrf())["user_id"]
    await admin.ask("/admin/v1/tenants", "POST", json={"name": "acme"})
    async with admin.sql.begin() as connection:
        row = {"tenant": "acme", "user_id": user_id, "role": "owner", "created_at": sa.func.now()}
        await connection.execute(sa.insert(members).values(row))
    assert (await browser.ask("/admin/v1/tenants/acme")).status == 200
    assert await program.call(path="/admin/v1/tenants/acme") == 404
    reply = await browser.ask("/auth/token", "POST", json={"tenant": "globex"})
    assert (reply.status, reply.document["code"]) == (404, "unknown_tenant")


async def test_a_token_makes_no_tokens_and_is_no_session(program: Program) -> None:
    headers = {"Authorization": f"Bearer {program.pair['access_token']}"}
    ask = program.admin.ask
    body = {"tenant": program.tenant}
    assert (await ask("/auth/token", "POST", json=body, headers=headers))[0] == 401
    assert (await ask("/auth/session", headers=headers))[0] == 401
    assert (await ask("/auth/totp", "POST", headers=headers))[0] == 401


async def test_a_token_expires_and_is_renewed(program: Program) -> None:
    program.admin.clock.later_s = 961  # a quarter of an hour, and a minute between clocks
    assert await program.call() == 401
    status, pair = await program.renew()
    assert status == 200
    assert await program.call(pair["access_token"]) == 200
    assert pair["refresh_expires_in"] <= program.pair["refresh_expires_in"] - 961


async def test_a_renewal_that_is_used_twice_ends_the_family(program: Program) -> None:
    first = program.pair["refresh_token"]
    _, second = await program.renew()
    _, third = await program.renew(second["refresh_token"])
    assert await program.call(third["access_token"]) == 200
    status, problem = await program.renew(first)
    assert (status, problem["code"]) == (400, "invalid_grant")
    for pair in (program.pair, second, third):
        assert await program.call(pair["access_token"]) == 401
        assert (await program.renew(pair["refresh_token"]))[0] == 400


async def test_of_many_renewals_at_once_none_leaves_two_families(program: Program) -> None:
    answers = await asyncio.gather(*(program.renew() for _ in range(8)))
    good = [pair for status, pair in answers if status == 200]
    assert len(good) <= 1
    for pair in good:  # it was used twice: what the first one got is void
        assert await program.call(pair["access_token"]) == 401


async def test_another_family_of_the_same_person_lives_on(
    browser: Browser, program: Program
) -> None:
    reply = await browser.ask("/auth/token", "POST", json={"tenant": program.tenant})
    await program.renew()
    await program.renew()
    assert await program.call() == 401
    assert await program.call(reply.document["access_token"]) == 200


async def test_a_family_ends_a_month_after_it_began(program: Program) -> None:
    pair = program.pair
    for day in (10, 20, 29):
        program.admin.clock.later_s = day * 86_400
        status, pair = await program.renew(pair["refresh_token"])
        assert status == 200
    program.admin.clock.later_s = 30 * 86_400 + 1
    assert (await program.renew(pair["refresh_token"]))[0] == 400


async def test_revoking_ends_a_family_and_says_nothing_of_others(program: Program) -> None:
    ask = program.admin.ask
    for token in ("unknown", program.pair["refresh_token"], program.pair["refresh_token"]):
        body = {"refresh_token": token}
        status, text = await ask("/auth/token/revoke", "POST", json=body, headers={})
        assert (status, text) == (204, "")
    assert await program.call() == 401
    assert (await program.renew())[0] == 400


@pytest.mark.parametrize("how", ["role", "removed", "everywhere"])
async def test_what_a_person_loses_their_programs_lose(
    admin: Admin, browser: Browser, program: Program, how: str
) -> None:
    user_id = (await browser.learn_csrf())["user_id"]
    path = f"/admin/v1/tenants/{program.tenant}/members/{user_id}"
    async with admin.sql.begin() as connection:  # somebody else owns the tenant too
        query = sa.update(members).where(members.c.user_id == user_id)
        await connection.execute(query.values(role="admin"))
    if how == "role":
        assert (await admin.ask(path, "PATCH", json={"role": "viewer"}))[0] == 200
    elif how == "removed":
        assert (await admin.ask(path, "DELETE"))[0] == 204
    else:
        await browser.ask("/auth/logout", "POST", json={"everywhere": True})
    assert await program.call() == 401
    assert (await program.renew())[0] == 400
    assert (await browser.ask("/auth/session")).status == 401


async def test_the_published_keys_verify_what_is_issued(program: Program) -> None:
    status, document = await program.admin.ask(KEYS, headers={})
    assert status == 200
    [published] = document["keys"]
    assert (published["kty"], published["crv"], published["use"]) == ("OKP", "Ed25519", "sig")
    assert "d" not in published
    token = program.pair["access_token"]
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["kid"], header["alg"]) == ("at+jwt", published["kid"], "EdDSA")
    claims = jwt.decode(token, jwt.PyJWK(published), algorithms=["EdDSA"], audience="apex-admin")
    assert claims["exp"] - claims["iat"] == 900
    assert claims["tenant"] == program.tenant


async def test_keys_change_by_age_with_overlap(program: Program) -> None:
    clock, pair = program.admin.clock, program.pair
    seen: list[set[str]] = []
    for later_s in (0, 2_592_000 - 300, 2_592_000 + 10, 2_592_000 + 1100):
        clock.later_s = later_s
        if later_s:
            await Browser(program.admin).dev_login()
            old = pair
            pair = await fresh_pair(program)
            expected = 200 if later_s != 2_592_000 + 1100 else 401
            if later_s == 2_592_000 + 10:
                assert await program.call(old["access_token"]) == expected
            assert await program.call(pair["access_token"]) == 200
        _, document = await program.admin.ask(KEYS, headers={})
        seen.append({each["kid"] for each in document["keys"]})
    assert [len(each) for each in seen] == [1, 1, 2, 1]
    assert seen[0] == seen[1] < seen[2] > seen[3]
    assert seen[0].isdisjoint(seen[3])


async def fresh_pair(program: Program) -> dict[str, Any]:
    """From a new session of the same person."""
    browser = Browser(program.admin)
    await browser.dev_login()
    reply = await browser.ask("/auth/token", "POST", json={"tenant": program.tenant})
    assert reply.status == 200
    pair: dict[str, Any] = reply.document
    return pair


@pytest.mark.parametrize("revoke", [False, True])
async def test_keys_change_on_demand(program: Program, revoke: bool) -> None:
    admin = program.admin
    status, made = await admin.ask("/admin/v1/signing-keys", "POST", json={"revoke": revoke})
    assert status == 201
    assert await program.call() == (401 if revoke else 200)
    pair = await fresh_pair(program)
    assert jwt.get_unverified_header(pair["access_token"])["kid"] == made["key_id"]
    assert await program.call(pair["access_token"]) == 200


async def test_private_keys_are_sealed(program: Program) -> None:
    admin = program.admin
    key_id, key = await key_to_sign(admin.sql, admin.people)
    async with admin.sql.connect() as connection:
        row = (await connection.execute(sa.select(signing_keys))).mappings().one()
    assert row["key_id"] == key_id
    assert key.private_bytes_raw() not in row["private_key_sealed"]
    assert "PRIVATE" not in row["public_key"]
    async with admin.sql.begin() as connection:  # under a master key that is gone
        await connection.execute(sa.update(signing_keys).values(private_key_sealed=b"other"))
    assert (await key_to_sign(admin.sql, admin.people))[0] != key_id
    assert await program.call() == 200


async def test_stored_refresh_tokens_renew_nothing(program: Program) -> None:
    async with program.admin.sql.connect() as connection:
        row = (await connection.execute(sa.select(refresh_tokens))).mappings().one()
    assert program.pair["refresh_token"] not in str(dict(row))
    assert (await program.renew(row["token_hash"]))[0] == 400


class Forger:
    """Knows everything of a good token but the key."""

    def __init__(self, program: Program, public: Ed25519PublicKey) -> None:
        token = program.pair["access_token"]
        self.header = jwt.get_unverified_header(token)
        self.claims = jwt.decode(token, options={"verify_signature": False})
        self.signature = token.rpartition(".")[2]
        form = serialization.PublicFormat
        self.pem = public.public_bytes(serialization.Encoding.PEM, form.SubjectPublicKeyInfo)
        self.raw = public.public_bytes_raw()
        self.own = Ed25519PrivateKey.generate()

    def sign(self, claims: dict[str, Any] | None = None, **header: Any) -> str:
        head = {**self.header, **header}
        signed = f"{encode(head)}.{encode({**self.claims, **(claims or {})})}"
        return f"{signed}.{encode(self.own.sign(signed.encode()))}"

    def tokens(self) -> dict[str, str]:
        body, own = encode(self.claims), self.own.public_key().public_bytes_raw()
        plain = {
            f"alg {alg!r}": f"{encode({**self.header, 'alg': alg})}.{body}.{signature}"
            for alg in ("none", "None", "NONE", "", None, ["EdDSA"])
            for signature in ("", self.signature)
        }
        shared = {}
        for name, key in (("pem", self.pem), ("raw", self.raw), ("empty", b"")):
            signed = f"{encode({**self.header, 'alg': 'HS256'})}.{body}"
            mac = hmac.digest(key, signed.encode(), hashlib.sha256)
            shared[f"HS256 {name}"] = f"{signed}.{encode(mac)}"
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(own)}
        return {
            **plain,
            **shared,
            "own key": self.sign(),
            "embedded key": self.sign(jwk=jwk),
            "jku": self.sign(jku="https://evil.example.com/jwks.json"),
            "x5u": self.sign(x5u="https://evil.example.com/cert.pem"),
            "kid of a file": self.sign(kid="/dev/null"),
            "kid of SQL": self.sign(kid="x' UNION SELECT public_key FROM signing_keys --"),
            "kid of another": self.sign(kid="sk_0"),
            "no kid": self.sign(kid=""),
            "kid is a number": self.sign(kid=1),
            "altered": f"{encode(self.header)}.{encode({**self.claims, 'sub': 'usr_x'})}."
            f"{self.signature}",
        }


async def public_key(program: Program) -> Ed25519PublicKey:
    _, key = await key_to_sign(program.admin.sql, program.admin.people)
    return key.public_key()


async def test_forged_tokens_open_nothing(program: Program) -> None:
    """What also shares its first characters with a good one: nothing is known by a prefix."""
    assert await program.call() == 200
    forger = Forger(program, await public_key(program))
    good = program.pair["access_token"]
    for name, token in forger.tokens().items():
        assert await program.call(token) == 401, name
    for cut in range(len(good) - 90, len(good), 7):
        replaced = "A" if good[cut] != "A" else "B"
        assert await program.call(good[:cut] + replaced + good[cut + 1 :]) == 401
    for odd in (good + "=", good + ".x", good[:-1], good.upper(), f"{good} {good}", "x" * 20_000):
        assert await program.call(odd[:7000]) == 401
    assert await program.call() == 200


@pytest.mark.parametrize(
    ("claims", "typ"),
    [
        ({}, "JWT"),
        ({}, None),
        ({"iss": "https://apex.example.com"}, "at+jwt"),
        ({"aud": "apex-client"}, "at+jwt"),
        ({"aud": ["apex-admin", "x"]}, "at+jwt"),
        ({"exp": 1}, "at+jwt"),
        ({"nbf": 1e10}, "at+jwt"),
        ({"iat": 1e10}, "at+jwt"),
        ({"family": "fam_of_nobody"}, "at+jwt"),
        ({"family": None}, "at+jwt"),
        ({"family": ["x"]}, "at+jwt"),
        ({"tenant": 7}, "at+jwt"),
        ({"sub": "usr_of_nobody"}, "at+jwt"),
        ({"sub": None}, "at+jwt"),
    ],
)
async def test_tokens_that_our_own_key_signed_for_something_else(
    program: Program, claims: dict[str, Any], typ: str | None
) -> None:
    key_id, key = await key_to_sign(program.admin.sql, program.admin.people)
    good = jwt.decode(program.pair["access_token"], options={"verify_signature": False})
    headers = {"kid": key_id, "typ": typ}
    bent = {name: value for name, value in {**good, **claims}.items() if value is not None}
    token = jwt.encode(bent, key, algorithm="EdDSA", headers=headers)
    assert await program.call(token) == 401
    good_headers = {"kid": key_id, "typ": "at+jwt"}
    assert await program.call(jwt.encode(good, key, algorithm="EdDSA", headers=good_headers)) == 200


async def test_an_id_token_is_no_access_token(issuer: FakeIssuer, program: Program) -> None:
    token = issuer.sign("nonce", {**issuer.person, "aud": "apex-admin", "tenant": program.tenant})
    assert await program.call(token) == 401


async def test_a_key_that_is_replaced_signs_no_more(admin: Admin) -> None:
    admin.people.take(IdentityConfig())
    first, _ = await key_to_sign(admin.sql, admin.people)
    assert (await key_to_sign(admin.sql, admin.people))[0] == first
    async with admin.sql.begin() as connection:
        second, _ = await rotate(connection, admin.people)
    assert (await key_to_sign(admin.sql, admin.people))[0] == second != first
