"""/admin/v1/tenants: the customers, teams or applications of this gateway."""

from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, Field, field_validator
from sqlalchemy.exc import IntegrityError

from admin_api.calls import Answer, Call, Route, Strict, unknown_tenant
from admin_api.changes import Change, change, check_version
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from admin_api.resource_fields import (
    NAME_PATTERN,
    Moment,
    changed_meanwhile,
    refuse_if_archived,
    refuse_if_declared,
    shown_limits,
)
from config.limit_model import LimitsConfig
from config.tier_model import TierName
from policies.declared_limits import stored_limits
from policies.tenant_store import Row, find_tenant, insert_tenant, list_tenants, update_tenant
from policies.tiers import suggest_tier


class TenantChange(Strict):
    """What of a tenant can be changed; what is left out stays."""

    display_name: str = Field(default="", max_length=200)
    tier: TierName = "free"
    time_zone: str = Field(default="UTC", max_length=64, description="IANA name, of its periods.")
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    contract: dict[str, Any] | None = Field(default=None, description="Terms, as agreed.")
    limits: LimitsConfig | None = Field(default=None, description="Of all its keys together.")

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("no IANA time zone, such as Europe/Berlin")
        return name


class NewTenant(TenantChange):
    """A tenant to be made."""

    name: str = Field(pattern=NAME_PATTERN, description="For good: usage names it.")


class Tenant(BaseModel):
    """A tenant as it is stored."""

    name: str
    display_name: str
    tier: str
    time_zone: str
    currency: str
    contract: dict[str, Any] | None
    limits: LimitsConfig
    entitlements: tuple[str, ...] = Field(description="What its tier includes.")
    suggested_tier: str | None = Field(description="What its spend of this month would suit.")
    managed_by: Literal["file", "api"] = Field(description="file: apex.yaml, read-only here.")
    version: int
    created_at: Moment
    updated_at: Moment | None
    archived_at: Moment | None


async def list_all(call: Call) -> Answer:
    """Those the caller has a part in; all of them for the operator."""
    only = None if call.actor.is_operator else frozenset(call.actor.roles)
    query: PageQuery = call.query
    async with call.context.sql.connect() as connection:
        rows = await list_tenants(connection, position_of(query), query.limit + 1, only)
    shown = [tenant_of(row, call) for row in rows]
    return Answer(page_of(shown, query, lambda each: each.name))


async def show(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        found = await find_tenant(connection, call.path["tenant"])
    if found is None:
        raise unknown_tenant(call.path["tenant"])
    return Answer(tenant_of(found, call), version=found["version"])


async def make(call: Call) -> Answer:
    body: NewTenant = call.body
    try:
        async with change(call, "tenant.create", f"tenants/{body.name}") as under_way:
            values, now = _stored(body.model_dump(), body), call.context.clock.now()
            await insert_tenant(under_way.connection, values, now)
            made = await _after(call, under_way, body.name)
    except IntegrityError as error:
        hint = "choose another name, or PATCH the one that is there"
        message = f"there is a tenant {body.name!r} already"
        raise AdminError(409, "name_taken", message, hint) from error
    place = f"/admin/v1/tenants/{body.name}"
    return Answer(made, status=201, version=made.version, headers={"Location": place})


async def alter(call: Call) -> Answer:
    values = _stored(call.body.model_dump(exclude_unset=True), call.body)
    return await _change(call, "tenant.update", values)


async def archive(call: Call) -> Answer:
    """Its keys stop working; it stays, since usage names it."""
    now = datetime.fromtimestamp(call.context.clock.now(), UTC)
    return await _change(call, "tenant.archive", {"archived_at": now})


async def _change(call: Call, action: str, values: dict[str, Any]) -> Answer:
    name, now = call.path["tenant"], call.context.clock.now()
    async with change(call, action, f"tenants/{name}") as under_way:
        row = await find_tenant(under_way.connection, name)
        if row is None:
            raise unknown_tenant(name)
        refuse_if_declared(row)
        refuse_if_archived(row)
        check_version(call, row["version"])
        under_way.before = tenant_of(row, call).model_dump(mode="json")
        if not await update_tenant(under_way.connection, name, row["version"], values, now):
            raise changed_meanwhile()
        changed = await _after(call, under_way, name)
    return Answer(changed, version=changed.version)


async def _after(call: Call, under_way: Change, name: str) -> Tenant:
    """What is there now, noted for the audit log."""
    row = await find_tenant(under_way.connection, name)
    assert row is not None
    found = tenant_of(row, call)
    under_way.after = found.model_dump(mode="json")
    return found


def _stored(fields: dict[str, Any], body: TenantChange) -> dict[str, Any]:
    return {**fields, "limits": stored_limits(body.limits)} if "limits" in fields else fields


def tenant_of(row: Row, call: Call) -> Tenant:
    derived = {"entitlements", "suggested_tier"}
    fields = {name: row[name] for name in Tenant.model_fields if name not in derived}
    tiers = call.context.tiers()
    tier = tiers.get(row["tier"])
    spent_picousd = call.context.month_spend().get(row["name"], 0)
    fields["entitlements"] = tier.entitlements if tier else ()
    fields["suggested_tier"] = suggest_tier(tiers, row["tier"], spent_picousd)
    fields["limits"] = shown_limits(row["limits"])
    return Tenant.model_validate(fields)


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/tenants", list_all, P.sign_in, "List tenants",
          query=PageQuery, answer=Page[Tenant]),
    Route("POST", "/admin/v1/tenants", make, P.operate, "Make a tenant",
          body=NewTenant, answer=Tenant),
    Route("GET", "/admin/v1/tenants/{tenant}", show, P.tenant_read, "Show a tenant", answer=Tenant),
    Route("PATCH", "/admin/v1/tenants/{tenant}", alter, P.operate, "Change a tenant",
          body=TenantChange, answer=Tenant),
    Route("DELETE", "/admin/v1/tenants/{tenant}", archive, P.tenant_own,
          "Archive a tenant; its keys stop working", answer=Tenant),
)  # fmt: skip
