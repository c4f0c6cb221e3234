"""Secrets that mean nothing by themselves: made here, told once, kept only as a hash.

Sessions, login states, invitations and refresh tokens are such. They hold 256 random bits, so that
a plain SHA-256 is enough: nobody can try them all.
"""

import hashlib
import hmac
import secrets

SECRET_BYTES = 32
MOST_CHARACTERS = 128


def make_secret(prefix: str = "") -> str:
    """A new one; the prefix says to a reader, and to a scanner of leaks, what it is."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def make_id(prefix: str) -> str:
    """A name that nobody guesses and that is no secret."""
    return prefix + secrets.token_hex(10)


def digest_of(secret: str) -> str:
    """What is stored of a secret: SHA-256 in 64 hex digits. Longer input than ours is cut."""
    data = secret[: MOST_CHARACTERS + 1].encode("utf-8", "surrogateescape")
    return hashlib.sha256(data).hexdigest()


def is_same(one: str, other: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
