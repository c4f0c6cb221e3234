"""/admin/v1/tenants: the customers, teams or applications of this gateway."""

from datetime import datetime
from typing import Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, Field, field_validator
from sqlalchemy.exc import IntegrityError

from admin_api.calls import Answer, Call, Route, Strict, unknown_tenant
from admin_api.changes import change, check_version
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from policies.tenant_store import Row, find_tenant, insert_tenant, list_tenants, update_tenant
from storage.tables import BY_FILE

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
Tier = Literal["free", "early", "mid", "enterprise"]


class TenantChange(Strict):
    """What of a tenant can be changed; what is left out stays."""

    display_name: str = Field(default="", max_length=200)
    tier: Tier = "free"
    time_zone: str = Field(default="UTC", max_length=64, description="IANA name, of its periods.")
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    contract: dict[str, Any] | None = Field(default=None, description="Terms, as agreed.")

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
    managed_by: Literal["file", "api"] = Field(description="file: apex.yaml, read-only here.")
    version: int
    created_at: datetime
    updated_at: datetime | None
    archived_at: datetime | None


async def list_all(call: Call) -> Answer:
    """Those the caller has a part in; all of them for the operator."""
    only = None if call.actor.is_operator else frozenset(call.actor.roles)
    query: PageQuery = call.query
    async with call.context.sql.connect() as connection:
        rows = await list_tenants(connection, position_of(query), query.limit + 1, only)
    return Answer(page_of([tenant_of(row) for row in rows], query, lambda each: each.name))


async def show(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        found = await find_tenant(connection, call.path["tenant"])
    if found is None:
        raise unknown_tenant(call.path["tenant"])
    return Answer(tenant_of(found), version=found["version"])


async def make(call: Call) -> Answer:
    body: NewTenant = call.body
    try:
        async with change(call, "tenant.create", f"tenants/{body.name}") as under_way:
            await insert_tenant(under_way.connection, body.model_dump(), call.context.clock.now())
            row = await find_tenant(under_way.connection, body.name)
            assert row is not None
            made = tenant_of(row)
            under_way.after = made.model_dump(mode="json")
    except IntegrityError as error:
        hint = "choose another name, or PATCH the one that is there"
        message = f"there is a tenant {body.name!r} already"
        raise AdminError(409, "name_taken", message, hint) from error
    place = f"/admin/v1/tenants/{body.name}"
    return Answer(made, status=201, version=made.version, headers={"Location": place})


async def alter(call: Call) -> Answer:
    name, body = call.path["tenant"], call.body
    async with change(call, "tenant.update", f"tenants/{name}") as under_way:
        row = await find_tenant(under_way.connection, name)
        if row is None:
            raise unknown_tenant(name)
        refuse_if_declared(row)
        check_version(call, row["version"])
        values = body.model_dump(exclude_unset=True)
        now = call.context.clock.now()
        if not await update_tenant(under_way.connection, name, row["version"], values, now):
            raise AdminError(412, "version_mismatch", "it was changed meanwhile", "GET it again")
        changed = await find_tenant(under_way.connection, name)
        assert changed is not None
        under_way.before = tenant_of(row).model_dump(mode="json")
        under_way.after = tenant_of(changed).model_dump(mode="json")
    return Answer(tenant_of(changed), version=changed["version"])


def tenant_of(row: Row) -> Tenant:
    return Tenant.model_validate({name: row[name] for name in Tenant.model_fields})


def refuse_if_declared(row: Row) -> None:
    """What apex.yaml declares is changed there. AdminError 409."""
    if row["managed_by"] == BY_FILE:
        hint = "change it in apex.yaml and reload (SIGHUP); what the API makes is changed here"
        raise AdminError(409, "managed_by_file", "apex.yaml declares this", hint)


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/tenants", list_all, P.sign_in, "List tenants",
          query=PageQuery, answer=Page[Tenant]),
    Route("POST", "/admin/v1/tenants", make, P.operate, "Make a tenant",
          body=NewTenant, answer=Tenant),
    Route("GET", "/admin/v1/tenants/{tenant}", show, P.tenant_read, "Show a tenant", answer=Tenant),
    Route("PATCH", "/admin/v1/tenants/{tenant}", alter, P.operate, "Change a tenant",
          body=TenantChange, answer=Tenant),
)  # fmt: skip
