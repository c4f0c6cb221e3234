"""The audit log: an append-only chain of hashes over everything that was changed, and by whom.

Called inside the transaction of each change, so that neither exists without the other. A tenant
has a chain of its own; "" is the chain of what concerns all. `verify_chain` finds what was altered.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.tables import audit_log

FIRST_HASH = "0" * 64
_ROWS_AT_A_TIME = 500
HASHED = ("chain", "number", "at", "actor", "action", "subject", "before_hash", "after_hash", "why")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change: `subject` is what was changed, as a path; None: it was not there."""

    chain: str
    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    why: str = ""


class AuditRaceError(Exception):
    """Somebody else wrote the next entry of the chain at the same moment: repeat the change."""


async def append_audit(connection: AsyncConnection, entry: AuditEntry, now: float) -> None:
    """Add an entry to its chain; `now` in Unix seconds. AuditRaceError."""
    last = await _read_last(connection, entry.chain)
    row = {
        "chain": entry.chain,
        "number": last["number"] + 1 if last else 1,
        "at": datetime.fromtimestamp(now, UTC),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "before_hash": digest_of(entry.before),
        "after_hash": digest_of(entry.after),
        "why": entry.why,
        "previous_hash": last["hash"] if last else FIRST_HASH,
    }
    row["hash"] = hash_of(row)
    try:
        await connection.execute(sa.insert(audit_log).values(row))
    except IntegrityError as error:
        raise AuditRaceError(entry.chain) from error


async def _read_last(connection: AsyncConnection, chain: str) -> sa.RowMapping | None:
    query = (
        sa.select(audit_log)
        .where(audit_log.c.chain == chain)
        .order_by(audit_log.c.number.desc())
        .limit(1)
    )
    return (await connection.execute(query)).mappings().one_or_none()


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries of a chain; "" is any. `subject` is the beginning of one."""

    action: str = ""
    subject: str = ""
    actor: str = ""


async def list_audit(
    connection: AsyncConnection, chain: str, before: int | None, most: int, only: AuditFilter
) -> list[sa.RowMapping]:
    """Entries of a chain, the newest first, from the one in front of number `before` on."""
    query = sa.select(audit_log).where(audit_log.c.chain == chain)
    if before is not None:
        query = query.where(audit_log.c.number < before)
    if only.action:
        query = query.where(audit_log.c.action == only.action)
    if only.actor:
        query = query.where(audit_log.c.actor == only.actor)
    if only.subject:
        query = query.where(audit_log.c.subject.startswith(only.subject, autoescape=True))
    query = query.order_by(audit_log.c.number.desc()).limit(most)
    return list((await connection.execute(query)).mappings().all())


async def read_chain(engine: AsyncEngine, chain: str) -> AsyncIterator[sa.RowMapping]:
    """A whole chain by number, some entries in memory at a time; ends where it ended at first."""
    async with engine.connect() as connection:
        last = await _read_last(connection, chain)
    after, end = 0, last["number"] if last else 0
    while after < end:
        query = (
            sa.select(audit_log)
            .where(audit_log.c.chain == chain, audit_log.c.number.between(after + 1, end))
            .order_by(audit_log.c.number)
            .limit(_ROWS_AT_A_TIME)
        )
        async with engine.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        if not rows:
            return
        for row in rows:
            yield row
        after = rows[-1]["number"]


def digest_of(document: Mapping[str, Any] | None) -> str:
    """SHA-256 (64 hex) of a document's canonical JSON; "" for none."""
    if document is None:
        return ""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def hash_of(row: Mapping[str, Any] | sa.RowMapping) -> str:
    """SHA-256 (64 hex) over the hash before and every field, in order, as a JSON list."""
    at: datetime = row["at"]
    moment = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    fields = [moment if name == "at" else row[name] for name in HASHED]
    return hashlib.sha256(orjson.dumps([row["previous_hash"], *fields])).hexdigest()


class ChainCheck:
    """Goes along a whole chain, an entry at a time; `fault` is "" as long as nothing is wrong."""

    def __init__(self, expected_hash: str = "") -> None:
        """`expected_hash`: that of an entry as it was seen before; it has to be there still."""
        self.entries = 0
        self.last_hash = FIRST_HASH
        self.fault = ""
        self._expected_hash = expected_hash
        self._is_expected_seen = expected_hash in ("", FIRST_HASH)

    def add(self, row: Mapping[str, Any] | sa.RowMapping) -> None:
        """The next entry by number."""
        number = self.entries + 1
        if self.fault:
            return
        if row["number"] != number:
            self.fault = f"entry {number} is missing"
        elif row["previous_hash"] != self.last_hash or row["hash"] != hash_of(row):
            self.fault = f"entry {number} was altered"
        else:
            self.entries, self.last_hash = number, row["hash"]
            self._is_expected_seen |= row["hash"] == self._expected_hash

    def finish(self) -> str:
        """What is wrong with the chain; "" when nothing is."""
        if not self.fault and not self._is_expected_seen:
            self.fault = f"no entry has the hash {self._expected_hash}: it was cut or made anew"
        return self.fault


def verify_chain(rows: Iterable[Mapping[str, Any] | sa.RowMapping]) -> str:
    """What is wrong with a whole chain, its rows by number; "" when nothing is."""
    check = ChainCheck()
    for row in rows:
        check.add(row)
    return check.finish()
