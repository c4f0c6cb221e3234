"""A person's one-time passwords in SQL: enrolled once, each code good once, with recovery codes.

What is stored is sealed under the master key. Until a first code confirms it, `totp_last_step` is
NULL and the enrolment counts for nothing.
"""

import base64
import secrets
from dataclasses import dataclass, field

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.people import opaque, totp
from admin_api.people.state import People
from storage.tables import users

RECOVERY_CODES = 10
RECOVERY_BYTES = 10
Row = sa.RowMapping


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is shown once."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """A code was right; the first one brings the recovery codes, shown once."""

    recovery_codes: tuple[str, ...] = field(default=(), repr=False)


async def enrol(connection: AsyncConnection, people: People, user_id: str) -> Enrolment | None:
    """A new secret, in place of one that was never confirmed; None: one is in use."""
    secret = totp.make_secret()
    row = await find_user(connection, user_id)
    query = (
        sa.update(users)
        .where(users.c.user_id == user_id, users.c.totp_last_step.is_(None))
        .values(totp_secret_sealed=_seal(people, user_id, secret, []))
    )
    if (await connection.execute(query)).rowcount != 1:
        return None
    return Enrolment(totp.spell(secret), totp.describe(secret, row["email"], "Netra Apex"))


async def prove(
    connection: AsyncConnection, people: People, user_id: str, code: str
) -> Proof | None:
    """Whether a code, or a recovery code, is right and new; it is used up with this."""
    row = await find_user(connection, user_id)
    if row["totp_secret_sealed"] is None:
        return None
    secret, recovery = _open(people, user_id, row["totp_secret_sealed"])
    step = totp.find_step(secret, code, people.clock.now())
    is_first = row["totp_last_step"] is None
    if step is None:
        hashed = opaque.digest_of(code.strip().upper())
        is_spent = not is_first and await _spend(connection, people, row, secret, recovery, hashed)
        return Proof() if is_spent else None
    if not await _take_step(connection, user_id, step):
        return None
    return await _confirm(connection, people, user_id, secret) if is_first else Proof()


async def remove(connection: AsyncConnection, user_id: str) -> None:
    """Forget the secret: the person has to enrol again, where that is required."""
    values = {"totp_secret_sealed": None, "totp_last_step": None}
    await connection.execute(sa.update(users).where(users.c.user_id == user_id).values(values))


async def find_user(connection: AsyncConnection, user_id: str) -> Row:
    query = sa.select(users).where(users.c.user_id == user_id)
    return (await connection.execute(query)).mappings().one()


async def _take_step(connection: AsyncConnection, user_id: str, step: int) -> bool:
    """Of two that bring the same code at the same moment one comes too late."""
    last = users.c.totp_last_step
    query = (
        sa.update(users)
        .where(users.c.user_id == user_id, sa.or_(last.is_(None), last < step))
        .values(totp_last_step=step)
    )
    return (await connection.execute(query)).rowcount == 1


async def _confirm(
    connection: AsyncConnection, people: People, user_id: str, secret: bytes
) -> Proof:
    codes = tuple(_make_recovery_code() for _ in range(RECOVERY_CODES))
    sealed = _seal(people, user_id, secret, [opaque.digest_of(code) for code in codes])
    query = sa.update(users).where(users.c.user_id == user_id).values(totp_secret_sealed=sealed)
    await connection.execute(query)
    return Proof(codes)


async def _spend(
    connection: AsyncConnection, people: People, row: Row, secret: bytes, recovery: list[str],
    hashed: str,
) -> bool:  # fmt: skip
    """Use a recovery code up, unless what is stored has changed meanwhile."""
    if hashed not in recovery:
        return False
    left = [each for each in recovery if each != hashed]
    mine = (
        users.c.user_id == row["user_id"],
        users.c.totp_secret_sealed == row["totp_secret_sealed"],
    )
    sealed = _seal(people, row["user_id"], secret, left)
    query = sa.update(users).where(*mine).values(totp_secret_sealed=sealed)
    return (await connection.execute(query)).rowcount == 1


def _make_recovery_code() -> str:
    return base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()


def _seal(people: People, user_id: str, secret: bytes, recovery: list[str]) -> bytes:
    document = orjson.dumps({"secret": secret.hex(), "recovery": recovery})
    return people.key_ring.seal(f"totp {user_id}", document)


def _open(people: People, user_id: str, sealed: bytes) -> tuple[bytes, list[str]]:
    document = orjson.loads(people.key_ring.unseal(f"totp {user_id}", sealed))
    return bytes.fromhex(document["secret"]), list(document["recovery"])
