"""Everything secret that follows from the master keys, derived by purpose and key id.

Both planes hold a KeyRing; `load_key_ring` finds the master keys, or makes one in development.
docs/secrets.md says what follows a rotation and what stays.
"""

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.errors import ConfigError
from config.files import create_exclusively
from config.settings import MIN_SECRET_CHARACTERS, MasterKey, Settings, parse_master_keys

MASTER_KEY_FILE = "master.key"
FIRST_KEY_ID = "k1"  # of a master key that is set without an id

_DERIVED_BYTES = 32
_NONCE_BYTES = 12
_SEAL_FORMAT = b"\x01"


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """Derived keys that outlive the master key they are from, by "purpose:subject".

    `base` is the id of the master key from which all others are derived that must not change; ""
    where none was recorded: then it is k1 while that is set.
    """

    base: str = ""
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)


NOTHING_KEPT = KeptKeys()


class KeyRing:
    """Derives one key per purpose by HKDF-SHA256 (RFC 5869); none of them reveals another.

    It seals under the current master key (`key_id`) and opens what any of them has sealed. From
    `base` those keys are derived that a rotation must not change.
    """

    def __init__(
        self,
        master_key: bytes,
        key_id: str = FIRST_KEY_ID,
        older: Mapping[str, bytes] | None = None,
        kept: KeptKeys = NOTHING_KEPT,
    ) -> None:
        self.key_id = key_id
        self._master_keys = {key_id: master_key, **(older or {})}
        self._kept = kept
        base = kept.base or FIRST_KEY_ID
        self.base = base if base in self._master_keys else key_id
        # Asked for on every request; as many entries as there are tenants and epochs.
        self._derived: dict[tuple[str, str, str], bytes] = {}

    def __repr__(self) -> str:
        return f"KeyRing(key_id={self.key_id!r})"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The master keys that are set, the current one first."""
        return tuple(self._master_keys)

    def with_kept(self, kept: KeptKeys) -> "KeyRing":
        """The same ring, which knows what was kept of master keys that are no longer set."""
        older = dict(self._master_keys)
        return KeyRing(older.pop(self.key_id), self.key_id, older, kept)

    def pepper(self) -> bytes:
        """Keys the HMAC of API keys that are made now."""
        return self._derive(self.key_id, "pepper", "")

    def knows_pepper(self, key_id: str) -> bool:
        """Whether keys made under this master key can be checked."""
        return key_id in self._master_keys or f"pepper:{key_id}" in self._kept.keys

    def pepper_of(self, key_id: str) -> bytes:
        """Keys the HMAC of API keys that were made under this master key. ConfigError."""
        kept = self._kept.keys.get(f"pepper:{key_id}")
        if kept is not None:
            return kept
        if key_id in self._master_keys:
            return self._derive(key_id, "pepper", "")
        raise ConfigError(
            f"API keys were made under master key {key_id!r}, which is not set",
            f"set it beside the current one, APEX_MASTER_KEYS={self.key_id}:...,{key_id}:..., "
            "and run: python main.py rotate-master-key",
        )

    def cache_key(self, tenant: str) -> bytes:
        """Keys the tenant's canonical request keys and prompt-prefix hashes."""
        return self._stay("cache", tenant)

    def subject_key(self, tenant: str) -> bytes:
        """Keys the hashes of the tenant's sessions and end users."""
        return self._stay("subject", tenant)

    def arm_salt(self, epoch: str) -> bytes:
        """Salts the draws into holdout and canary during one epoch."""
        return self._stay("arm", epoch)

    def keep(self, peppers: Iterable[str], tenants: Iterable[str], epoch: str) -> KeptKeys:
        """What has to outlive the older master keys; what is not kept follows the current one."""
        keys = {f"pepper:{key_id}": self.pepper_of(key_id) for key_id in peppers}
        for tenant in tenants:
            keys[f"cache:{tenant}"] = self.cache_key(tenant)
            keys[f"subject:{tenant}"] = self.subject_key(tenant)
        for subject in (epoch, f"canary/{epoch}"):
            keys[f"arm:{subject}"] = self.arm_salt(subject)
        return KeptKeys(self.key_id, keys)

    def seal(self, purpose: str, plaintext: bytes) -> bytes:
        """Encrypt with AES-256-GCM; only the same purpose and master key open it again."""
        header = seal_header(self.key_id)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        key = self._derive(self.key_id, "seal", purpose)
        return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + purpose.encode())

    def unseal(self, purpose: str, sealed: bytes) -> bytes:
        """The plaintext; ConfigError when damaged, of another purpose, or of another master key."""
        key_id = sealed_under(sealed)
        try:
            if key_id not in self._master_keys:
                raise InvalidTag
            header = seal_header(key_id)
            body = sealed[len(header) :]
            nonce, ciphertext = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
            if len(nonce) < _NONCE_BYTES:
                raise InvalidTag
            key = self._derive(key_id, "seal", purpose)
            return AESGCM(key).decrypt(nonce, ciphertext, header + purpose.encode())
        except InvalidTag:
            raise ConfigError(
                f"the sealed {purpose} cannot be opened with master key {', '.join(self.key_ids)}",
                "it is damaged or was sealed under another APEX_MASTER_KEY: set that key again, "
                "APEX_MASTER_KEYS takes several; a snapshot may be deleted: it is written anew",
            ) from None

    def _stay(self, purpose: str, subject: str) -> bytes:
        """A key that a rotation must not change: figures are joined over time by what it makes."""
        kept = self._kept.keys.get(f"{purpose}:{subject}")
        return kept if kept is not None else self._derive(self.base, purpose, subject)

    def _derive(self, key_id: str, purpose: str, subject: str) -> bytes:
        derived = self._derived.get((key_id, purpose, subject))
        if derived is None:
            # NUL separates: neither a purpose nor a name can hold one.
            info = "\0".join(("netra-apex", "1", key_id, purpose, subject)).encode()
            hkdf = HKDF(algorithm=SHA256(), length=_DERIVED_BYTES, salt=None, info=info)
            derived = hkdf.derive(self._master_keys[key_id])
            self._derived[key_id, purpose, subject] = derived
        return derived


def seal_header(key_id: str) -> bytes:
    """What everything begins with that this master key has sealed."""
    encoded = key_id.encode()
    return _SEAL_FORMAT + bytes([len(encoded)]) + encoded


def sealed_under(sealed: bytes) -> str:
    """The id of the master key that sealed these bytes; "" when nothing of ours did."""
    if len(sealed) < 2 or sealed[:1] != _SEAL_FORMAT:
        return ""
    return sealed[2 : 2 + sealed[1]].decode("ascii", "replace")


def load_key_ring(settings: Settings) -> KeyRing:
    """The ring of the master keys set, or in development of {home}/master.key, made when missing.

    The file may hold a list as APEX_MASTER_KEYS does.
    """
    if settings.master_keys:
        return _ring_of(settings.master_keys)
    if settings.master_key is not None:
        return KeyRing(settings.master_key.encode())
    if settings.environment != "development":
        raise ConfigError(
            "APEX_MASTER_KEY is not set",
            'make one with: APEX_MASTER_KEY="$(openssl rand -hex 32)"',
        )
    path = settings.home / MASTER_KEY_FILE
    content = _load_key_file(path)
    if b":" in content:
        return _ring_of(parse_master_keys(content.decode("utf-8", "replace"), str(path)))
    return KeyRing(content)


def _ring_of(keys: tuple[MasterKey, ...]) -> KeyRing:
    older = {key.key_id: key.secret.encode() for key in keys[1:]}
    return KeyRing(keys[0].secret.encode(), keys[0].key_id, older)


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
