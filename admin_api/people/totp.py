"""One-time passwords by time (RFC 6238: SHA-1, six digits, thirty seconds), as apps show them.

Pure: second_factor.py keeps the secrets and sees to it that a code is good once.
"""

import base64
import hmac
import secrets
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20
STEPS_AROUND = (0, -1, 1)  # a phone's clock may be half a minute off


def make_secret() -> bytes:
    """A new secret for one person's app."""
    return secrets.token_bytes(SECRET_BYTES)


def spell(secret: bytes) -> str:
    """The secret as it is typed into an app."""
    return base64.b32encode(secret).decode().rstrip("=")


def code_at(secret: bytes, step: int) -> str:
    """The code of a step of thirty seconds (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(now: float) -> int:
    """The step a moment (Unix seconds) is in."""
    return int(now // STEP_S)


def find_step(secret: bytes, code: str, now: float) -> int | None:
    """The step whose code this is, now or one beside it; None: it is of none of them."""
    given = code.encode("utf-8", "replace")
    found = None
    for around in STEPS_AROUND:
        step = step_of(now) + around
        if hmac.compare_digest(code_at(secret, step).encode(), given):
            found = step
    return found


def describe(secret: bytes, account: str, issuer: str) -> str:
    """The otpauth: URI that an app reads from a QR code."""
    label = quote(f"{issuer}:{account}")
    query = urlencode({"secret": spell(secret), "issuer": issuer, "digits": DIGITS})
    return f"otpauth://totp/{label}?{query}&algorithm=SHA1&period={STEP_S}"
