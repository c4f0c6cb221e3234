"""/admin/v1/tenants/{tenant}/projects: what groups a tenant's keys, with tags and limits."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError

from admin_api.calls import Answer, Call, Route, Strict, unknown_tenant
from admin_api.changes import Change, change, check_version
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from admin_api.resource_fields import (
    NAME_PATTERN,
    Moment,
    Tags,
    changed_meanwhile,
    open_tenant,
    refuse_if_archived,
    refuse_if_declared,
    refuse_too_many,
    shown_limits,
)
from config.limit_model import LimitsConfig
from policies.declared_limits import stored_limits
from policies.project_store import (
    Row,
    count_projects,
    find_project,
    insert_project,
    list_projects,
    update_project,
)
from policies.tenant_store import find_tenant

MOST_PROJECTS = 1000  # of a tenant, archived ones included


class ProjectChange(Strict):
    """What of a project can be changed; what is left out stays."""

    display_name: str = Field(default="", max_length=200)
    tags: Tags = Field(default_factory=dict)
    limits: LimitsConfig | None = Field(default=None, description="Of all its keys together.")


class NewProject(ProjectChange):
    """A project to be made."""

    name: str = Field(pattern=NAME_PATTERN, description="For good: keys and usage name it.")


class Project(BaseModel):
    """A project as it is stored."""

    tenant: str
    name: str
    display_name: str
    tags: dict[str, str]
    limits: LimitsConfig
    managed_by: Literal["file", "api"] = Field(description="file: apex.yaml, read-only here.")
    version: int
    created_at: Moment
    updated_at: Moment | None
    archived_at: Moment | None


async def list_all(call: Call) -> Answer:
    """The tenant's, by name, archived ones included."""
    query: PageQuery = call.query
    tenant = call.path["tenant"]
    async with call.context.sql.connect() as connection:
        if await find_tenant(connection, tenant) is None:
            raise unknown_tenant(tenant)
        rows = await list_projects(connection, tenant, position_of(query), query.limit + 1)
    return Answer(page_of([project_of(row) for row in rows], query, lambda each: each.name))


async def show(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        row = await find_project(connection, call.path["tenant"], call.path["project"])
    if row is None:
        raise unknown_project(call.path["project"])
    return Answer(project_of(row), version=row["version"])


async def make(call: Call) -> Answer:
    tenant, body = call.path["tenant"], call.body
    values = {**_stored(body.model_dump(), body), "tenant": tenant}
    try:
        async with change(call, "project.create", _subject(tenant, body.name)) as under_way:
            await open_tenant(under_way.connection, tenant)
            held = await count_projects(under_way.connection, tenant)
            refuse_too_many(held, MOST_PROJECTS, "projects")
            await insert_project(under_way.connection, values, call.context.clock.now())
            made = await _after(under_way, tenant, body.name)
    except IntegrityError as error:
        hint = "choose another name, or PATCH the one that is there"
        message = f"the tenant has a project {body.name!r} already"
        raise AdminError(409, "name_taken", message, hint) from error
    place = f"/admin/v1/tenants/{tenant}/projects/{body.name}"
    return Answer(made, status=201, version=made.version, headers={"Location": place})


async def alter(call: Call) -> Answer:
    values = _stored(call.body.model_dump(exclude_unset=True), call.body)
    return await _change(call, "project.update", values)


async def archive(call: Call) -> Answer:
    """Its keys stop working; it stays, since usage names it."""
    now = datetime.fromtimestamp(call.context.clock.now(), UTC)
    return await _change(call, "project.archive", {"archived_at": now})


async def _change(call: Call, action: str, values: dict[str, Any]) -> Answer:
    tenant, name = call.path["tenant"], call.path["project"]
    async with change(call, action, _subject(tenant, name)) as under_way:
        connection = under_way.connection
        await open_tenant(connection, tenant)
        row = await find_project(connection, tenant, name)
        if row is None:
            raise unknown_project(name)
        refuse_if_declared(row)
        refuse_if_archived(row)
        check_version(call, row["version"])
        under_way.before = project_of(row).model_dump(mode="json")
        if not await update_project(connection, row, values, call.context.clock.now()):
            raise changed_meanwhile()
        changed = await _after(under_way, tenant, name)
    return Answer(changed, version=changed.version)


async def _after(under_way: Change, tenant: str, name: str) -> Project:
    """What is there now, noted for the audit log."""
    row = await find_project(under_way.connection, tenant, name)
    assert row is not None
    found = project_of(row)
    under_way.after = found.model_dump(mode="json")
    return found


def _stored(fields: dict[str, Any], body: ProjectChange) -> dict[str, Any]:
    return {**fields, "limits": stored_limits(body.limits)} if "limits" in fields else fields


def _subject(tenant: str, name: str) -> str:
    return f"tenants/{tenant}/projects/{name}"


def project_of(row: Row) -> Project:
    fields = {name: row[name] for name in Project.model_fields}
    shown = {"tags": row["tags"] or {}, "limits": shown_limits(row["limits"])}
    return Project.model_validate(fields | shown)


def unknown_project(name: str) -> AdminError:
    return AdminError(
        404, "unknown_project", f"the tenant has no project {name[:64]!r}",
        "GET the tenant's projects to see those there are",
    )  # fmt: skip


P = Permission
PROJECTS = "/admin/v1/tenants/{tenant}/projects"
PROJECT = "/admin/v1/tenants/{tenant}/projects/{project}"
ROUTES = (
    Route("GET", PROJECTS, list_all, P.tenant_read, "List a tenant's projects",
          query=PageQuery, answer=Page[Project]),
    Route("POST", PROJECTS, make, P.project_write, "Make a project",
          body=NewProject, answer=Project),
    Route("GET", PROJECT, show, P.tenant_read, "Show a project", answer=Project),
    Route("PATCH", PROJECT, alter, P.project_write, "Change a project",
          body=ProjectChange, answer=Project),
    Route("DELETE", PROJECT, archive, P.project_write, "Archive a project; its keys stop working",
          answer=Project),
)  # fmt: skip
