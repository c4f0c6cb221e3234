"""/admin/v1/audit: who changed what, when and why; a chain of hashes for each tenant.

Without a tenant the operator sees the chain of what concerns all.
"""

from collections.abc import AsyncIterator

import orjson
from pydantic import BaseModel, Field

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from admin_api.resource_fields import Moment
from policies.audit import AuditFilter, list_audit, read_chain

NDJSON = "application/x-ndjson"


class ChainQuery(Strict):
    """Whose chain."""

    tenant: str = Field(default="", max_length=64, description="This tenant's chain.")


class AuditQuery(PageQuery, ChainQuery):
    """Which entries of it."""

    action: str = Field(default="", max_length=64, description="Such as tenant.create.")
    subject: str = Field(default="", max_length=300, description="Beginning of what was changed.")
    actor: str = Field(default="", max_length=128, description="operator, or user: and an id.")


class Entry(BaseModel):
    """One change; `hash` is over all other fields, and the next entry's `previous_hash`."""

    chain: str = Field(description="The tenant; empty for what concerns all.")
    number: int
    at: Moment
    actor: str
    action: str
    subject: str
    before_hash: str = Field(description="Of what was there; empty for nothing.")
    after_hash: str = Field(description="Of what is there now; empty for nothing.")
    why: str
    previous_hash: str
    hash: str


async def list_entries(call: Call) -> Answer:
    """The newest first."""
    query: AuditQuery = call.query
    only = AuditFilter(query.action, query.subject, query.actor)
    before = _number_of(position_of(query))
    async with call.context.sql.connect() as connection:
        rows = await list_audit(connection, call.tenant or "", before, query.limit + 1, only)
    entries = [Entry.model_validate(dict(row)) for row in rows]
    return Answer(page_of(entries, query, lambda each: str(each.number)))


async def export(call: Call) -> Answer:
    """The whole chain, the first entry first."""
    chain = call.tenant or ""
    name = f"audit-{chain or 'operator'}.ndjson"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Answer(lines=_lines(call, chain), headers=headers)


async def _lines(call: Call, chain: str) -> AsyncIterator[bytes]:
    async for row in read_chain(call.context.sql, chain):
        entry = Entry.model_validate(dict(row)).model_dump(mode="json")
        yield orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def _number_of(position: str) -> int | None:
    if not position:
        return None
    if not (position.isascii() and position.isdigit() and len(position) < 10):
        hint = "send next_cursor of the page before as it was, or leave cursor out"
        raise AdminError(400, "invalid_cursor", "the cursor is none of this list", hint)
    return int(position)


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/audit", list_entries, P.audit_read, "List what was changed",
          query=AuditQuery, answer=Page[Entry]),
    Route("GET", "/admin/v1/audit/export", export, P.audit_read, "Export a whole audit chain",
          query=ChainQuery, answer=Entry, media_type=NDJSON),
)  # fmt: skip
