"""From an HTTP request to a checked call of a route, and from its answer back: one way for all.

Used by app.py, which lists the routes. Who may call is decided here, on the route that was matched;
a handler gets a Call whose query and body are models of pydantic, and returns an Answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from admin_api.context import CONTEXT, AdminContext
from admin_api.errors import AdminError
from admin_api.permissions import Actor, Permission

ACTOR: web.RequestKey[Actor] = web.RequestKey("actor", Actor)
MOST_WHY_CHARACTERS = 500
NUL = b"\\u0000"  # as JSON spells what no text in PostgreSQL can hold
DOCS_HINT = "docs/admin-api.md and /admin/v1/openapi.json say what is accepted"


class Strict(BaseModel):
    """A body or a query: what it does not know is refused, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Strict):
    """A route without parameters."""


Model = TypeVar("Model", bound=Strict)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is allowed and well-formed. `tenant` is whom it concerns; None: all of them.

    `version` is what If-Match names, None without it; `why` goes into the audit log.
    """

    actor: Actor
    context: AdminContext
    path: Mapping[str, str]
    query: Any
    body: Any
    tenant: str | None
    version: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers; `version` becomes the ETag."""

    document: BaseModel | None = None
    status: int = 200
    version: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Route(NamedTuple):
    """One route of the admin API: who may call it, and what goes in and out."""

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Answer]]
    permission: Permission
    summary: str
    query: type[Strict] = NoQuery
    body: type[Strict] | None = None
    answer: type[BaseModel] | None = None


def build_handler(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The aiohttp handler of a route."""

    async def handle(request: web.Request) -> web.Response:
        return write_answer(await route.handler(await read_call(route, request)))

    return handle


async def read_call(route: Route, request: web.Request) -> Call:
    """Check who calls and what was sent. AdminError."""
    actor, context = request[ACTOR], request.app[CONTEXT]
    tenant = tenant_of(request, actor)
    check_permission(actor, route.permission, tenant)
    query = parse(route.query, dict(request.query), "query")
    body = await _read_body(route, request)
    why = request.headers.get("X-Apex-Why", "")[:MOST_WHY_CHARACTERS]
    version = _read_version(request)
    return Call(actor, context, request.match_info, query, body, tenant, version, why)


def tenant_of(request: web.Request, actor: Actor) -> str | None:
    """Whom a request concerns: the path says, or the query; a member of one tenant need not."""
    named = request.match_info.get("tenant") or request.query.get("tenant")
    if named is None and not actor.is_operator and len(actor.roles) == 1:
        return next(iter(actor.roles))
    return named


def check_permission(actor: Actor, permission: Permission, tenant: str | None) -> None:
    """Refuse; a tenant the actor has no part in is not even said to exist. AdminError."""
    if actor.may(permission, tenant):
        return
    if tenant is not None and tenant not in actor.roles and permission is not Permission.operate:
        raise unknown_tenant(tenant)
    what = f"this needs the permission {permission.value}"
    hint = "ask an owner of the tenant for a role that has it, or the operator of the gateway"
    raise AdminError(403, "forbidden", what, hint)


def unknown_tenant(tenant: str) -> AdminError:
    return AdminError(
        404, "unknown_tenant", f"there is no tenant {tenant[:64]!r}",
        "GET /admin/v1/tenants lists those you may see",
    )  # fmt: skip


def parse(model: type[Model], data: Any, where: str) -> Model:
    """The data as the model. AdminError 422 that names every field at fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or where}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        detail = "; ".join(faults)[:2000]
        raise AdminError(422, f"invalid_{where}", detail, DOCS_HINT) from None


async def _read_body(route: Route, request: web.Request) -> Strict | None:
    if route.body is None:
        return None
    return parse(route.body, await read_json(request), "body")


async def read_json(request: web.Request) -> Any:
    """The body of a request that says it is JSON. AdminError."""
    if request.content_type != "application/json":
        hint = "send Content-Type: application/json"
        raise AdminError(415, "unsupported_media_type", "the body has to be JSON", hint)
    body = await request.read()
    if NUL in body:
        raise AdminError(400, "invalid_json", "the body holds a NUL", "leave \\u0000 out")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise AdminError(400, "invalid_json", f"the body is not JSON: {error}", DOCS_HINT) from None


def _read_version(request: web.Request) -> int | None:
    text = request.headers.get("If-Match")
    if text is None:
        return None
    digits = text.strip().removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        hint = "send the ETag of the last GET as it was"
        raise AdminError(412, "version_mismatch", "If-Match names no version", hint)
    return int(digits)


def write_answer(answer: Answer) -> web.Response:
    """The response; never kept by a cache on the way, as it is somebody's."""
    headers = {"Cache-Control": "no-store", **answer.headers}
    if answer.version is not None:
        headers["ETag"] = f'"{answer.version}"'
    if answer.document is None:
        return web.Response(status=answer.status, headers=headers)
    document = cast("Any", answer.document.model_dump(mode="json"))
    return web.Response(
        status=answer.status,
        body=orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE),
        content_type="application/json",
        headers=headers,
    )
