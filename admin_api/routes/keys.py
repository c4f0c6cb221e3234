"""/admin/v1/tenants/{tenant}/keys: the API keys of a tenant. A secret is shown once, when made."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from admin_api.calls import Answer, Call, Route, unknown_tenant
from admin_api.changes import Change, change, check_version
from admin_api.errors import STORE_AWAY, AdminError
from admin_api.key_models import Issued, Key, KeyChange, NewKey, Revoked, Rotation, key_of
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from admin_api.resource_fields import (
    changed_meanwhile,
    open_tenant,
    refuse_if_declared,
    refuse_too_many,
)
from policies.api_key_store import (
    INHERITED,
    RETIRED_MARK,
    Row,
    count_keys,
    find_key,
    insert_key,
    list_keys,
    retired_name,
    update_key,
)
from policies.declared_limits import stored_limits
from policies.keys import GeneratedKey, generate_key
from policies.project_store import find_project
from policies.tenant_store import find_tenant

_log = logging.getLogger(__name__)

MOST_KEYS = 20_000  # of a tenant, revoked ones aside


async def list_all(call: Call) -> Answer:
    """The tenant's, by id, revoked ones included."""
    query: PageQuery = call.query
    tenant, now = call.path["tenant"], call.context.clock.now()
    async with call.context.sql.connect() as connection:
        if await find_tenant(connection, tenant) is None:
            raise unknown_tenant(tenant)
        rows = await list_keys(connection, tenant, position_of(query), query.limit + 1)
    return Answer(page_of([key_of(row, now) for row in rows], query, lambda each: each.key_id))


async def show(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        row = await find_key(connection, call.path["tenant"], call.path["key_id"])
    if row is None:
        raise unknown_key(call.path["key_id"])
    return Answer(key_of(row, call.context.clock.now()), version=row["version"])


async def make(call: Call) -> Answer:
    tenant, body = call.path["tenant"], call.body
    _check_expiry(body.expires_at, call)
    key = generate_key()
    values = {**_stored(body.model_dump(), body), "tenant": tenant}
    try:
        async with change(call, "key.create", _subject(tenant, key.key_id)) as under_way:
            await open_tenant(under_way.connection, tenant)
            refuse_too_many(await count_keys(under_way.connection, tenant), MOST_KEYS, "keys")
            await _check_project(under_way, tenant, body.project)
            made = await _issue(call, under_way, values, key)
    except IntegrityError as error:
        hint = "choose another name, rotate the one that is there, or revoke it"
        message = f"the tenant has a key {body.name!r} already"
        raise AdminError(409, "name_taken", message, hint) from error
    return _issued(made, key)


async def alter(call: Call) -> Answer:
    tenant, body = call.path["tenant"], call.body
    values = _stored(body.model_dump(exclude_unset=True), body)
    _check_expiry(values.get("expires_at"), call)
    async with change(call, "key.update", _subject(tenant, call.path["key_id"])) as under_way:
        row = await _find_usable(call, under_way)
        await _check_project(under_way, tenant, values.get("project", ""))
        changed = await _update(call, under_way, row, values)
    return Answer(changed, version=changed.version)


async def rotate(call: Call) -> Answer:
    """A new key takes the name and the scopes of this one, which lives on for the overlap."""
    tenant, body = call.path["tenant"], call.body
    _check_expiry(body.expires_at, call)
    key = generate_key()
    async with change(call, "key.rotate", _subject(tenant, call.path["key_id"])) as under_way:
        row = await _find_usable(call, under_way)
        if RETIRED_MARK in row["name"]:
            hint = "rotate the key that replaces it: GET the tenant's keys and see `replaces`"
            raise AdminError(409, "already_rotated", "this key was rotated before", hint)
        kept = {name: row[name] for name in INHERITED}
        given = {} if body.expires_at is None else {"expires_at": body.expires_at}
        ending = {"name": retired_name(row), "expires_at": _end_of(row, call, body.overlap_s)}
        replaced = await _update(call, under_way, row, ending)
        made = await _issue(call, under_way, {**kept, **given, "replaces": row["key_id"]}, key)
        under_way.after = {
            "replaced": replaced.model_dump(mode="json"), "by": made.model_dump(mode="json"),
        }  # fmt: skip
    return _issued(made, key)


async def revoke(call: Call) -> Answer:
    """At once, in every proxy: over the bus, and in a file that outlives all processes.

    That needs no SQL store: while it is away the answer is 202; the next snapshot makes up for it.
    """
    tenant, key_id = call.path["tenant"], call.path["key_id"]
    try:
        return await _revoke_stored(call, tenant, key_id)
    except STORE_AWAY:
        if not call.context.is_made_here(tenant, key_id):
            raise
    _log.warning("key %s is revoked by %s while the SQL store is away", key_id, call.actor.name)
    await call.context.announce_revoked(key_id)
    call.context.note_change()
    return Answer(Revoked(key_id=key_id), status=202)


async def _revoke_stored(call: Call, tenant: str, key_id: str) -> Answer:
    now = datetime.fromtimestamp(call.context.clock.now(), UTC)
    async with change(call, "key.revoke", _subject(tenant, key_id)) as under_way:
        row = await _find_own(call, under_way)
        if row["revoked_at"] is not None:
            return Answer(key_of(row, now.timestamp()), version=row["version"])
        # Its name is free again: whoever revokes a key usually wants another in its place.
        values = {"revoked_at": now, "name": retired_name(row)}
        revoked = await _update(call, under_way, row, values)
    await call.context.announce_revoked(key_id)
    return Answer(revoked, version=revoked.version)


async def _find_own(call: Call, under_way: Change) -> Row:
    """The key, unless apex.yaml declares it. AdminError."""
    row = await find_key(under_way.connection, call.path["tenant"], call.path["key_id"])
    if row is None:
        raise unknown_key(call.path["key_id"])
    refuse_if_declared(row)
    check_version(call, row["version"])
    return row


async def _find_usable(call: Call, under_way: Change) -> Row:
    """The key, of a tenant that is open, unless it is revoked. AdminError."""
    await open_tenant(under_way.connection, call.path["tenant"])
    row = await _find_own(call, under_way)
    if row["revoked_at"] is not None:
        hint = "make another key: a revoked one never comes back"
        raise AdminError(409, "key_revoked", "this key was revoked", hint)
    return row


async def _update(call: Call, under_way: Change, row: Row, values: dict[str, Any]) -> Key:
    now = call.context.clock.now()
    under_way.before = key_of(row, now).model_dump(mode="json")
    if not await update_key(under_way.connection, row, values, now):
        raise changed_meanwhile()
    return await _after(call, under_way, row["tenant"], row["key_id"])


async def _issue(call: Call, under_way: Change, values: dict[str, Any], key: GeneratedKey) -> Key:
    context = call.context
    await insert_key(under_way.connection, values, key, context.key_ring, context.clock.now())
    return await _after(call, under_way, values["tenant"], key.key_id)


async def _after(call: Call, under_way: Change, tenant: str, key_id: str) -> Key:
    """What is there now, noted for the audit log."""
    row = await find_key(under_way.connection, tenant, key_id)
    assert row is not None
    found = key_of(row, call.context.clock.now())
    under_way.after = found.model_dump(mode="json")
    return found


def _issued(made: Key, key: GeneratedKey) -> Answer:
    place = f"/admin/v1/tenants/{made.tenant}/keys/{made.key_id}"
    document = Issued(**made.model_dump(), secret=key.secret)
    return Answer(document, status=201, version=made.version, headers={"Location": place})


async def _check_project(under_way: Change, tenant: str, name: str) -> None:
    if not name:
        return
    row = await find_project(under_way.connection, tenant, name)
    if row is None or row["archived_at"] is not None:
        hint = "make the project first, or leave the field out"
        message = f"the tenant has no open project {name[:64]!r}"
        raise AdminError(422, "unknown_project", message, hint)


def _check_expiry(expires_at: datetime | None, call: Call) -> None:
    if expires_at is not None and expires_at.timestamp() <= call.context.clock.now():
        hint = "send a moment to come, or revoke the key to end it now"
        raise AdminError(422, "invalid_body", "expires_at: it is over already", hint)


def _end_of(row: Row, call: Call, overlap_s: int) -> datetime:
    """When a replaced key ends: after the overlap, or when it would have ended anyway."""
    now = call.context.clock.now()
    end = datetime.fromtimestamp(now, UTC) + timedelta(seconds=overlap_s)
    own = key_of(row, now).expires_at
    return end if own is None else min(own, end)


def _stored(fields: dict[str, Any], body: KeyChange) -> dict[str, Any]:
    return {**fields, "limits": stored_limits(body.limits)} if "limits" in fields else fields


def _subject(tenant: str, key_id: str) -> str:
    return f"tenants/{tenant}/keys/{key_id}"


def unknown_key(key_id: str) -> AdminError:
    return AdminError(
        404, "unknown_key", f"the tenant has no key {key_id[:64]!r}",
        "GET the tenant's keys to see those there are",
    )  # fmt: skip


P = Permission
KEYS = "/admin/v1/tenants/{tenant}/keys"
KEY = "/admin/v1/tenants/{tenant}/keys/{key_id}"
ROUTES = (
    Route("GET", KEYS, list_all, P.key_read, "List a tenant's keys",
          query=PageQuery, answer=Page[Key]),
    Route("POST", KEYS, make, P.key_write, "Make a key", body=NewKey, answer=Issued),
    Route("GET", KEY, show, P.key_read, "Show a key, without its secret", answer=Key),
    Route("PATCH", KEY, alter, P.key_write, "Change a key", body=KeyChange, answer=Key),
    Route("POST", "/admin/v1/tenants/{tenant}/keys/{key_id}/rotate", rotate, P.key_write,
          "Replace a key; it lives on for an overlap", body=Rotation, answer=Issued),
    Route("POST", "/admin/v1/tenants/{tenant}/keys/{key_id}/revoke", revoke, P.key_write,
          "End a key at once", answer=Key),
)  # fmt: skip
