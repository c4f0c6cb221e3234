"""How a route changes what is stored: one transaction with its audit entry, then a new snapshot.

Used by every route that writes.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.calls import Call
from admin_api.errors import AdminError
from policies.audit import AuditEntry, AuditRaceError, append_audit
from storage.revision import bump_revision


@dataclass(slots=True)
class Change:
    """A change under way; its handler says what was there before and what is there now."""

    connection: AsyncConnection
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@asynccontextmanager
async def change(
    call: Call, action: str, subject: str, *, is_in_snapshot: bool = True
) -> AsyncIterator[Change]:
    """A transaction: committed with its audit entry when the block ends well. AdminError 409.

    One after the other in this process; another process that changes the same chain at the same
    moment makes it a 409. What `is_in_snapshot` has a new one built.
    """
    context = call.context
    try:
        async with context.change_lock, context.sql.begin() as connection:
            under_way = Change(connection)
            yield under_way
            entry = AuditEntry(
                call.tenant or "", call.actor.name, action, subject,
                under_way.before, under_way.after, call.why,
            )  # fmt: skip
            await append_audit(connection, entry, context.clock.now())
            if is_in_snapshot:
                await bump_revision(connection)  # other hosts look at it
    except AuditRaceError as error:
        hint = "repeat the call: nothing was changed"
        raise AdminError(409, "conflict", "another change came in between", hint) from error
    if is_in_snapshot:
        context.note_change()


def check_version(call: Call, version: int) -> None:
    """Refuse a change to something else than what the caller has seen. AdminError 412."""
    if call.version is not None and call.version != version:
        message = f"version {call.version} was expected and {version} is there"
        raise AdminError(412, "version_mismatch", message, "GET it again and repeat the change")
