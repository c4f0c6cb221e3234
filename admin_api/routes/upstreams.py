"""/admin/v1/upstreams and /admin/v1/tenants/{tenant}/upstreams: where calls go.

The operator's serve all tenants; a tenant's own is seen by that tenant alone, has a public address,
and lists the models it serves.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.changes import change, check_version
from admin_api.declared_rows import (
    check_tenant,
    name_taken,
    not_found,
    refuse_more_than,
)
from admin_api.errors import AdminError
from admin_api.paging import Page, PageQuery, page_of, position_of
from admin_api.permissions import Permission
from admin_api.resource_fields import Moment, changed_meanwhile, refuse_if_declared
from config.errors import ConfigError
from config.provider_hosts import host_of
from policies.document_store import (
    MODELS,
    UPSTREAMS,
    Row,
    count_upstreams,
    delete_document,
    find_document,
    insert_document,
    list_upstreams,
    read_documents,
    replace_document,
)
from policies.upstream_documents import SMALL_NAME, StoredUpstream, check_upstream

MOST_UPSTREAMS = 100  # of a tenant


class UpstreamChange(StoredUpstream, Strict):
    """An upstream as it shall be."""


class NewUpstream(UpstreamChange):
    """An upstream to be made."""

    name: str = Field(pattern=SMALL_NAME, description="For good: usage names it.")


class Upstream(BaseModel):
    """An upstream as it is stored."""

    tenant: str = Field(description="Empty: it serves all tenants.")
    name: str
    kind: str
    base_url: str | None
    host: str = Field(description="What a credential has to name to be sent there.")
    allow_private: bool
    region: str | None
    api_version: str | None
    stream_usage: bool
    credential: str | None
    models: dict[str, str]
    managed_by: Literal["file", "api"] = Field(description="file: apex.yaml, read-only here.")
    version: int
    created_at: Moment
    updated_at: Moment | None


async def list_all(call: Call) -> Answer:
    query: PageQuery = call.query
    async with call.context.sql.connect() as connection:
        rows = await list_upstreams(
            connection, call.path.get("tenant", ""), position_of(query), query.limit + 1
        )
    return Answer(page_of([upstream_of(row) for row in rows], query, lambda each: each.name))


async def show(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        row = await find_document(connection, UPSTREAMS, _place(call))
    if row is None:
        raise not_found("upstream", call.path["name"])
    return Answer(upstream_of(row), version=row["version"])


async def make(call: Call) -> Answer:
    body: NewUpstream = call.body
    try:
        async with change(call, "upstream.create", f"upstreams/{body.name}") as under_way:
            tenant = await check_tenant(call, under_way)
            held = await count_upstreams(under_way.connection, tenant)
            refuse_more_than(MOST_UPSTREAMS, held, "upstream")
            document = _checked(StoredUpstream(**body.model_dump(exclude={"name"})), tenant)
            place, values = (tenant, body.name), {"document": document.model_dump(mode="json")}
            now = call.context.clock.now()
            await insert_document(under_way.connection, UPSTREAMS, place, values, now)
            row = await find_document(under_way.connection, UPSTREAMS, place)
            assert row is not None
            made = upstream_of(row)
            under_way.after = made.model_dump(mode="json")
    except IntegrityError as error:
        raise name_taken("upstream", body.name) from error
    return Answer(made, status=201, version=made.version)


async def replace(call: Call) -> Answer:
    place = _place(call)
    async with change(call, "upstream.update", f"upstreams/{place[1]}") as under_way:
        row = await _own_row(call, under_way.connection)
        values = {"document": _checked(call.body, place[0]).model_dump(mode="json")}
        now = call.context.clock.now()
        if not await replace_document(under_way.connection, UPSTREAMS, row, values, now):
            raise changed_meanwhile()
        changed = await find_document(under_way.connection, UPSTREAMS, place)
        assert changed is not None
        under_way.before = upstream_of(row).model_dump(mode="json")
        under_way.after = upstream_of(changed).model_dump(mode="json")
    return Answer(upstream_of(changed), version=changed["version"])


async def remove(call: Call) -> Answer:
    place = _place(call)
    async with change(call, "upstream.delete", f"upstreams/{place[1]}") as under_way:
        row = await _own_row(call, under_way.connection)
        if not place[0]:
            _refuse_if_used(place[1], await read_documents(under_way.connection, MODELS))
        if not await delete_document(under_way.connection, UPSTREAMS, row):
            raise changed_meanwhile()
        under_way.before = upstream_of(row).model_dump(mode="json")
    return Answer(status=204)


async def _own_row(call: Call, connection: Any) -> Row:
    row = await find_document(connection, UPSTREAMS, _place(call))
    if row is None:
        raise not_found("upstream", call.path["name"])
    refuse_if_declared(row)
    check_version(call, row["version"])
    return row


def _refuse_if_used(name: str, models: list[Row]) -> None:
    for model in models:
        if any(each["upstream"] == name for each in model["document"]["upstreams"]):
            message = f"model {model['name']!r} is served by it"
            raise AdminError(409, "upstream_in_use", message, "change or remove that model first")


def _checked(document: StoredUpstream, tenant: str) -> StoredUpstream:
    try:
        return check_upstream(document, tenant)
    except ConfigError as error:
        raise AdminError(422, "invalid_body", error.message, error.hint) from None


def _place(call: Call) -> tuple[str, str]:
    return call.path.get("tenant", ""), call.path["name"]


def upstream_of(row: Row) -> Upstream:
    """Also of a row that apex.yaml declares, whose document has other fields beside these."""
    document: Mapping[str, Any] = row["document"]
    host = host_of(document["kind"], document.get("base_url"), document.get("region"))
    shown = {"credential": None, "models": {}, **document, "host": host}
    row_fields = ("tenant", "name", "managed_by", "version", "created_at", "updated_at")
    shown |= {name: row[name] for name in row_fields}
    return Upstream.model_validate(shown)


P = Permission
OPERATORS, TENANTS = "/admin/v1/upstreams", "/admin/v1/tenants/{tenant}/upstreams"


def _routes(place: str, read: Permission, write: Permission, whose: str) -> tuple[Route, ...]:
    return (
        Route("GET", place, list_all, read, f"List {whose} upstreams",
              query=PageQuery, answer=Page[Upstream]),
        Route("POST", place, make, write, f"Make one of {whose} upstreams",
              body=NewUpstream, answer=Upstream),
        Route("GET", f"{place}/{{name}}", show, read, f"Show one of {whose} upstreams",
              answer=Upstream),
        Route("PUT", f"{place}/{{name}}", replace, write, f"Replace one of {whose} upstreams",
              body=UpstreamChange, answer=Upstream),
        Route("DELETE", f"{place}/{{name}}", remove, write, f"Remove one of {whose} upstreams"),
    )  # fmt: skip


ROUTES = (
    *_routes(OPERATORS, P.operate, P.operate, "the operator's"),
    *_routes(TENANTS, P.upstream_read, P.upstream_write, "a tenant's"),
)
