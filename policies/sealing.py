"""Data keys: one for each tenant, sealed under the master key; what they seal is bound to a place.

Called by policies.credential_store and by the rotation of the master key.
"""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import ConfigError
from config.secrets import KeyRing
from storage.tables import tenant_keys

KEY_BYTES = 32
NONCE_BYTES = 12  # 96 random bits: a data key seals a few thousand credentials at most
FORMAT = b"\x01"


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key in clear; it is never stored so."""

    tenant: str  # "" for the operator's own
    data_key_id: str
    key: bytes = field(repr=False)

    def seal(self, plaintext: bytes, place: tuple[str, ...]) -> bytes:
        """Encrypt with AES-256-GCM; it opens only with this key, for this tenant and place."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return FORMAT + nonce + AESGCM(self.key).encrypt(nonce, plaintext, self._bind(place))

    def unseal(self, sealed: bytes, place: tuple[str, ...]) -> bytes:
        """The plaintext. ConfigError when it is damaged, or not what was sealed for this place."""
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            if sealed[:1] != FORMAT or len(nonce) < NONCE_BYTES:
                raise InvalidTag
            return AESGCM(self.key).decrypt(nonce, ciphertext, self._bind(place))
        except InvalidTag:
            raise ConfigError(
                f"{'/'.join(place)} of {self.tenant or 'the operator'} cannot be opened",
                "its row was altered or moved: store the credential again",
            ) from None

    def _bind(self, place: tuple[str, ...]) -> bytes:
        # NUL separates: no part can hold one.
        return "\0".join(("netra-apex", "1", self.tenant, *place, self.data_key_id)).encode()


async def find_or_make_data_key(
    connection: AsyncConnection, tenant: str, key_ring: KeyRing, now: float
) -> DataKey:
    """The tenant's data key in use; `now` in Unix seconds. ConfigError when it cannot be opened."""
    query = (
        sa.select(tenant_keys)
        .where(tenant_keys.c.tenant == tenant, tenant_keys.c.retired_at.is_(None))
        .order_by(tenant_keys.c.created_at.desc(), tenant_keys.c.data_key_id)
        .limit(1)
        .with_for_update()
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return await make_data_key(connection, tenant, key_ring, now)
    return open_data_key(row, key_ring)


async def make_data_key(
    connection: AsyncConnection, tenant: str, key_ring: KeyRing, now: float
) -> DataKey:
    """A new data key, sealed under the current master key."""
    made = DataKey(tenant, f"dk_{secrets.token_hex(8)}", secrets.token_bytes(KEY_BYTES))
    row = {
        "tenant": tenant,
        "data_key_id": made.data_key_id,
        "master_key_id": key_ring.key_id,
        "sealed": key_ring.seal(_purpose(tenant, made.data_key_id), made.key),
        "created_at": datetime.fromtimestamp(now, UTC),
    }
    await connection.execute(sa.insert(tenant_keys).values(row))
    return made


async def read_data_keys(
    connection: AsyncConnection, key_ring: KeyRing, tenant: str | None = None
) -> dict[tuple[str, str], DataKey]:
    """Every data key that can be opened, by (tenant, data key id); those of one tenant if given."""
    query = sa.select(tenant_keys)
    if tenant is not None:
        query = query.where(tenant_keys.c.tenant == tenant)
    found: dict[tuple[str, str], DataKey] = {}
    for row in (await connection.execute(query)).mappings():
        try:
            found[row["tenant"], row["data_key_id"]] = open_data_key(row, key_ring)
        except ConfigError:
            continue  # what it sealed cannot be opened either, and says so
    return found


async def reseal_data_key(
    connection: AsyncConnection, data_key: DataKey, key_ring: KeyRing
) -> None:
    """Seal a stored data key under the current master key; nothing happens when it is gone."""
    sealed = key_ring.seal(_purpose(data_key.tenant, data_key.data_key_id), data_key.key)
    query = sa.update(tenant_keys).where(
        tenant_keys.c.tenant == data_key.tenant,
        tenant_keys.c.data_key_id == data_key.data_key_id,
    )
    await connection.execute(query.values(sealed=sealed, master_key_id=key_ring.key_id))


def open_data_key(row: sa.RowMapping, key_ring: KeyRing) -> DataKey:
    """The data key of a row. ConfigError when its master key is not set."""
    tenant, data_key_id = row["tenant"], row["data_key_id"]
    key = key_ring.unseal(_purpose(tenant, data_key_id), row["sealed"])
    return DataKey(tenant, data_key_id, key)


def _purpose(tenant: str, data_key_id: str) -> str:
    return f"data-key\0{tenant}\0{data_key_id}"
