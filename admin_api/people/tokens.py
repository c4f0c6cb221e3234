"""Signed tokens: ours and those of identity providers. The one door to pyjwt.

What a token says about how to check it is never followed: algorithm and key come from us.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

OWN_ALGORITHM = "EdDSA"
OWN_TYPE = "at+jwt"  # RFC 9068: so that an ID token is never taken for one
ID_TOKEN_TYPES = (None, "JWT")
LEEWAY_S = 60
MOST_CHARACTERS = 8192
MOST_KEYS = 64
KEY_ID = re.compile(r"[!-~]{1,200}")
SHAPE = re.compile(r"[A-Za-z0-9_-]{1,2048}\.[A-Za-z0-9_-]{1,8000}\.[A-Za-z0-9_-]{1,2048}")
# Parameters by which a token would choose its own key or demand what we do not know.
TRAPS = frozenset({"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip", "enc"})
CHECKED_HERE = ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss")


class TokenError(Exception):
    """A token that proves nothing; the reason is for the log and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say to be taken; `now` in Unix seconds.

    Tuples, as what a header says is looked up in them and may be of any kind.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    types: tuple[str | None, ...]
    now: float


def looks_like_token(text: str) -> bool:
    """Whether it has the form of a signed token, whatever that is worth."""
    return len(text) <= MOST_CHARACTERS and SHAPE.fullmatch(text) is not None


def read_key_id(token: str, expected: Expected) -> str:
    """The id of the key a token claims to be signed with, its header checked. TokenError."""
    if not looks_like_token(token):
        raise TokenError("not of the form of a token")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise TokenError("its header cannot be read") from None
    if TRAPS & header.keys():
        raise TokenError("its header wants to choose how it is checked")
    if header.get("alg") not in expected.algorithms:
        raise TokenError("its algorithm is not allowed")
    if header.get("typ") not in expected.types:
        raise TokenError("it is of another type")
    key_id = header.get("kid", "")
    if not isinstance(key_id, str) or (key_id and not KEY_ID.fullmatch(key_id)):
        raise TokenError("its key id is malformed")
    return key_id


def verify(token: str, key: Any, expected: Expected) -> dict[str, Any]:
    """The claims of a token signed with the key and meant for us, now. TokenError."""
    read_key_id(token, expected)
    checked = dict.fromkeys(CHECKED_HERE, False)
    options: Any = {**checked, "require": ["exp", "iat", "iss", "aud", "sub"],
                    "enforce_minimum_key_length": True}  # fmt: skip
    try:
        claims = jwt.decode(token, key, algorithms=list(expected.algorithms), options=options)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise TokenError(f"it does not verify: {type(error).__name__}") from None
    _check_times(claims, expected.now)
    _check_parties(claims, expected)
    return claims


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """By our clock, not by the library's: a minute of difference is nobody's fault."""
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, now)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
            raise TokenError(f"its {name} is no moment")
    if claims["exp"] + LEEWAY_S <= now:
        raise TokenError("it has expired")
    if max(claims["iat"], claims.get("nbf", 0)) > now + LEEWAY_S:
        raise TokenError("it is not valid yet")


def _check_parties(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims["iss"] != expected.issuer:
        raise TokenError("it is of another issuer")
    audience = claims["aud"]
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.audience not in audiences:
        raise TokenError("it is meant for another audience")
    party = claims.get("azp", expected.audience if len(audiences) == 1 else None)
    if party != expected.audience:
        raise TokenError("it was issued to another party")
    subject = claims["sub"]
    is_text = isinstance(subject, str) and subject.isascii() and subject.isprintable()
    if not is_text or not 0 < len(subject) <= 255:
        raise TokenError("its subject is malformed")


def sign(claims: Mapping[str, Any], key_id: str, key: Ed25519PrivateKey) -> str:
    """A token of ours."""
    headers = {"kid": key_id, "typ": OWN_TYPE}
    return jwt.encode(dict(claims), key, algorithm=OWN_ALGORITHM, headers=headers)


def describe_key(key_id: str, key: Ed25519PublicKey) -> dict[str, Any]:
    """A public key of ours as a JWK."""
    described: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True)
    return {**described, "kid": key_id, "alg": OWN_ALGORITHM, "use": "sig"}


def read_key_set(document: Any, algorithms: Collection[str]) -> dict[str, Any]:
    """The signing keys of a JWK set by id, of allowed algorithms; others are left out. TokenError.

    A key that names no algorithm is taken for the first allowed one that fits its kind.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise TokenError("the key set cannot be read")
    keys = {}
    for each in listed:
        key = _read_key(each, algorithms)
        if key is not None:
            keys[str(each.get("kid", ""))] = key
    return keys


def _read_key(described: Any, algorithms: Collection[str]) -> Any | None:
    if not isinstance(described, dict) or described.get("use", "sig") != "sig":
        return None
    named = described.get("alg")
    for algorithm in [named] if named is not None else algorithms:
        try:
            key = jwt.PyJWK(described, algorithm=algorithm)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if key.algorithm_name in algorithms:
            return key
    return None
