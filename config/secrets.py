"""Everything secret that follows from the master key: derived, never stored, by purpose and key id.

Both planes hold a KeyRing; `load_key_ring` finds the master key, or makes it in development.
"""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.errors import ConfigError
from config.files import create_exclusively
from config.settings import MIN_SECRET_CHARACTERS, Settings

MASTER_KEY_FILE = "master.key"

_DERIVED_BYTES = 32
_NONCE_BYTES = 12
_SEAL_FORMAT = b"\x01"


class KeyRing:
    """Derives one key per purpose by HKDF-SHA256 (RFC 5869); none of them reveals another."""

    def __init__(self, master_key: bytes, key_id: str = "k1") -> None:
        self.key_id = key_id
        self._master_key = master_key
        # Asked for on every request; as many entries as there are tenants and epochs.
        self._derived: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        return f"KeyRing(key_id={self.key_id!r})"

    def pepper(self) -> bytes:
        """Keys the HMAC of API keys."""
        return self._derive("pepper", "")

    def cache_key(self, tenant: str) -> bytes:
        """Keys the tenant's canonical request keys and prompt-prefix hashes."""
        return self._derive("cache", tenant)

    def subject_key(self, tenant: str) -> bytes:
        """Keys the hashes of the tenant's sessions and end users."""
        return self._derive("subject", tenant)

    def arm_salt(self, epoch: str) -> bytes:
        """Salts the draws into holdout and canary during one epoch."""
        return self._derive("arm", epoch)

    def seal(self, purpose: str, plaintext: bytes) -> bytes:
        """Encrypt with AES-256-GCM; only the same purpose and master key open it again."""
        key_id = self.key_id.encode()
        header = _SEAL_FORMAT + bytes([len(key_id)]) + key_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        key = self._derive("seal", purpose)
        return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + purpose.encode())

    def unseal(self, purpose: str, sealed: bytes) -> bytes:
        """The plaintext; ConfigError when damaged, of another purpose, or of another master key."""
        key_id = self.key_id.encode()
        header = _SEAL_FORMAT + bytes([len(key_id)]) + key_id
        body = sealed[len(header) :]
        key = self._derive("seal", purpose)
        try:
            if not sealed.startswith(header) or len(body) < _NONCE_BYTES:
                raise InvalidTag
            nonce, ciphertext = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
            return AESGCM(key).decrypt(nonce, ciphertext, header + purpose.encode())
        except InvalidTag:
            raise ConfigError(
                f"the sealed {purpose} cannot be opened with master key {self.key_id}",
                "it is damaged or was sealed under another APEX_MASTER_KEY: restore that key, or "
                "delete the file and start the control plane, which writes it anew",
            ) from None

    def _derive(self, purpose: str, subject: str) -> bytes:
        derived = self._derived.get((purpose, subject))
        if derived is None:
            # NUL separates: neither a purpose nor a name can hold one.
            info = "\0".join(("netra-apex", "1", self.key_id, purpose, subject)).encode()
            hkdf = HKDF(algorithm=SHA256(), length=_DERIVED_BYTES, salt=None, info=info)
            derived = self._derived[purpose, subject] = hkdf.derive(self._master_key)
        return derived


def load_key_ring(settings: Settings) -> KeyRing:
    """The ring of APEX_MASTER_KEY, or in development of {home}/master.key, made when missing."""
    if settings.master_key is not None:
        return KeyRing(settings.master_key.encode())
    if settings.environment != "development":
        raise ConfigError(
            "APEX_MASTER_KEY is not set",
            'make one with: APEX_MASTER_KEY="$(openssl rand -hex 32)"',
        )
    return KeyRing(_load_key_file(settings.home / MASTER_KEY_FILE))


def _load_key_file(path: Path) -> bytes:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            create_exclusively(path, secrets.token_hex(32).encode() + b"\n", mode=0o600)
        return _read_key_file(path)
    except OSError as error:
        raise ConfigError(
            f"the master key {path} cannot be used: {error.strerror}",
            "make APEX_HOME a directory this user can write, or set APEX_MASTER_KEY",
        ) from error


def _read_key_file(path: Path) -> bytes:
    with path.open("rb") as file:
        permissions = os.fstat(file.fileno()).st_mode & 0o777
        content = file.read(4096).strip()
    if permissions & 0o077:
        raise ConfigError(
            f"the master key {path} can be read by others (mode {permissions:o})",
            f"run: chmod 600 {path}",
        )
    if len(content) < MIN_SECRET_CHARACTERS:
        raise ConfigError(
            f"the master key {path} is cut short: {len(content)} characters",
            "restore it from a backup; without it every generated key and the cache are lost",
        )
    return content
