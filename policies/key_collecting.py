"""Turns the declared API keys into the records of a snapshot, making those that are missing.

Called by the snapshot builder, tenant by tenant.
"""

import base64
import hashlib

from sqlalchemy.ext.asyncio import AsyncConnection

from config.clock import Clock
from config.errors import ConfigError
from config.operator_model import KeyConfig
from config.secrets import KeyRing
from policies.key_store import find_or_make_key
from policies.keys import ID_CHARS, key_hmac, parse_key_id
from policies.snapshot import KeyRecord


class KeyCollector:
    """Every key of a snapshot in `by_id`; in `to_print` (tenant, name, secret) of new ones."""

    def __init__(self, key_ring: KeyRing, clock: Clock) -> None:
        self.by_id: dict[str, KeyRecord] = {}
        self.to_print: list[tuple[str, str, str]] = []
        self._key_ring = key_ring
        self._clock = clock

    async def add(self, connection: AsyncConnection, tenant: str, key: KeyConfig) -> None:
        """Takes in one declared key. Raises ConfigError when two keys would have one id."""
        if key.secret is not None:
            key_id = parse_key_id(key.secret) or _stable_key_id(tenant, key.name)
            self._add_record(tenant, key, key_id, key_hmac(self._key_ring.pepper(), key.secret))
            return
        stored = await find_or_make_key(connection, tenant, key.name, self._key_ring, self._clock)
        self._add_record(tenant, key, stored.key_id, stored.secret_hmac, stored.pepper_id)
        if stored.secret is not None:
            self.to_print.append((tenant, key.name, stored.secret))

    def _add_record(
        self, tenant: str, key: KeyConfig, key_id: str, digest: bytes, pepper_id: str = ""
    ) -> None:
        known = self.by_id.get(key_id)
        if known is not None:
            raise ConfigError(
                f"key {key.name!r} of tenant {tenant!r} has the id of key {known.name!r} of "
                f"tenant {known.tenant!r}: {key_id}",
                "a secret belongs to one key: give one of them another, or rename it",
            )
        self.by_id[key_id] = KeyRecord(
            key_id=key_id,
            tenant=tenant,
            name=key.name,
            secret_hmac=digest,
            tags=dict(key.tags),
            pepper_id=pepper_id,
        )


def _stable_key_id(tenant: str, name: str) -> str:
    """The id of an operator's own key: it follows the name, so a new secret keeps its history."""
    digest = hashlib.sha256(f"{tenant}/{name}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:ID_CHARS]
