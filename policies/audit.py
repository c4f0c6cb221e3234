"""The audit log: an append-only chain of hashes over everything that was changed, and by whom.

Called inside the transaction of each change, so that neither exists without the other. A tenant
has a chain of its own; "" is the chain of what concerns all. `verify_chain` finds what was altered.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.tables import audit_log

FIRST_HASH = "0" * 64
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


def verify_chain(rows: Iterable[Mapping[str, Any] | sa.RowMapping]) -> str:
    """What is wrong with a whole chain, its rows by number; "" when nothing is."""
    previous, expected = FIRST_HASH, 1
    for row in rows:
        if row["number"] != expected:
            return f"entry {expected} is missing"
        if row["previous_hash"] != previous or row["hash"] != hash_of(row):
            return f"entry {expected} was altered"
        previous, expected = row["hash"], expected + 1
    return ""
