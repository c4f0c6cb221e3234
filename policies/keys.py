"""API keys of the gateway: how they look, how they are made, and the HMAC that stands for them.

Used by the snapshot builder (to make keys) and by the proxy (to look them up).
"""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field

from config.mac import hmac_sha256

ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
ID_CHARS = 8
SECRET_BYTES = 32
# Published for secret scanners: matches keys anywhere in a text and nothing else of this length.
KEY_PATTERN = re.compile(
    r"(?<![A-Za-z0-9_-])apex_([a-z2-7]{8})_([A-Za-z0-9_-]{43})_([0-9a-f]{8})(?![A-Za-z0-9_-])"
)


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """A new key; `secret` is the whole text the caller sends, shown once and never stored."""

    key_id: str
    secret: str = field(repr=False)


def generate_key() -> GeneratedKey:
    """A key with 256 random bits: high entropy is why a fast hash is enough to store it."""
    key_id = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_CHARS))
    encoded = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    body = f"apex_{key_id}_{encoded}"
    return GeneratedKey(key_id=key_id, secret=f"{body}_{_checksum(body)}")


def parse_key_id(token: str) -> str | None:
    """The public id of a well-formed key; None for anything else, typing errors included."""
    match = KEY_PATTERN.fullmatch(token)
    if match is None:
        return None
    body, _, checksum = token.rpartition("_")
    return match[1] if checksum == _checksum(body) else None


def _checksum(body: str) -> str:
    return f"{binascii.crc32(body.encode()):08x}"


def key_hmac(pepper: bytes, token: str) -> bytes:
    """32 bytes that stand for a key: useless to whoever has the database but not the pepper."""
    return hmac_sha256(pepper, token.encode(errors="replace"))
