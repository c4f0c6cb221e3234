"""Signatures of snapshots: Ed25519, the private key in the control process alone. No SQL in here.

A signed document is JSON that begins with its signature over the rest, so that readers who do not
know signatures read it as before. Proxies trust one public key, which lies sealed in their home.
"""

import base64
import binascii
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from config.errors import ConfigError
from config.files import write_atomically
from config.secrets import KeyRing

PIN_FILE = "snapshot-key.sealed"
PIN_PURPOSE = "snapshot-key"
_PREFIX = b'{"signature":"'
_SIGNATURE_CHARACTERS = 88  # of 64 bytes in base64
_HINT = "start the control process with the SQL store it belongs to: it signs and writes it anew"


class SnapshotSigner:
    """The control process's signing key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        public_key = private_key.public_key()
        self.public_key = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)  # 32 bytes

    @classmethod
    def make(cls) -> "SnapshotSigner":
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, private_bytes: bytes) -> "SnapshotSigner":
        """The key of what `private_bytes` gave. ValueError."""
        return cls(Ed25519PrivateKey.from_private_bytes(private_bytes))

    def private_bytes(self) -> bytes:
        """32 bytes that must be sealed wherever they go."""
        return self._private_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

    def public_pem(self) -> str:
        """The public key as people and tools read it."""
        public_key = self._private_key.public_key()
        pem = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode("ascii")

    def sign(self, document: bytes) -> bytes:
        """The document, a JSON object with at least one field, with its signature in front."""
        signature = base64.b64encode(self._private_key.sign(document))
        return b'%b%b",%b' % (_PREFIX, signature, document[1:])


def open_signed(signed: bytes, public_key: bytes) -> bytes:
    """The document as it was signed. Raises ConfigError for any other, and without a signature."""
    begin, end = len(_PREFIX), len(_PREFIX) + _SIGNATURE_CHARACTERS
    if not signed.startswith(_PREFIX) or signed[end : end + 2] != b'",':
        raise ConfigError("the snapshot is not signed", _HINT)
    document = b"{" + signed[end + 2 :]
    try:
        signature = base64.b64decode(signed[begin:end], validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, document)
    except (InvalidSignature, binascii.Error, ValueError):
        raise ConfigError(
            "the snapshot is signed by a key that is not trusted here", _HINT
        ) from None
    return document


def write_pin(home: Path, public_key: bytes, key_ring: KeyRing) -> None:
    """Tell the proxies of this home whom to trust; only the holder of the master key can."""
    sealed = key_ring.seal(PIN_PURPOSE, public_key)
    write_atomically(home / PIN_FILE, sealed, mode=0o600, is_durable=True)


def read_pin(home: Path, key_ring: KeyRing) -> bytes | None:
    """The public key, 32 bytes, that proxies of this home trust; None without one. ConfigError."""
    try:
        sealed = (home / PIN_FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        hint = "make APEX_HOME readable for this user"
        raise ConfigError(f"cannot read {home / PIN_FILE}: {error.strerror}", hint) from error
    return key_ring.unseal(PIN_PURPOSE, sealed)
