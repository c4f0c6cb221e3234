"""From an HTTP request to a checked call of a route: one way for all.

Used by serving.py. Who may call is decided here, on the route that was matched; a handler gets a
Call whose query and body are models of pydantic, and returns an Answer.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from admin_api.context import CONTEXT, AdminContext
from admin_api.errors import AdminError
from admin_api.permissions import Actor, Permission
from config.errors import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

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
    """What a handler answers; `version` becomes the ETag. `lines` are sent as they come."""

    document: BaseModel | None = None
    status: int = 200
    version: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    lines: AsyncIterator[bytes] | None = None


class Route(NamedTuple):
    """One route of the admin API: who may call it, and what goes in and out.

    With `is_body_optional` no body is as good as `{}`. An answer of another `media_type` than JSON
    comes as lines, each of which is an `answer`.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Answer]]
    permission: Permission
    summary: str
    query: type[Strict] = NoQuery
    body: type[Strict] | None = None
    answer: type[BaseModel] | None = None
    is_body_optional: bool = False
    media_type: str = "application/json"


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
    if tenant is None and len(actor.roles) > 1:
        hint = "say which of your tenants it is about: add ?tenant=NAME"
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
        found = error.errors(include_url=False, include_input=False)
        faults = [f"{'.'.join(map(str, fault['loc'])) or where}: {fault['msg']}" for fault in found]
        detail = "; ".join(faults)[:2000]
        hint = _suggest_fields(model, found) or _suggest_choice(model, data, found) or DOCS_HINT
        raise AdminError(422, f"invalid_{where}", detail, hint) from None


def _suggest_fields(model: type[Strict], faults: "list[ErrorDetails]") -> str:
    """The nearest names of the first field that is unknown here, or all there are."""
    known = [field.alias or name for name, field in model.model_fields.items()]
    unknown = [str(fault["loc"][0]) for fault in faults if fault["type"] == "extra_forbidden"]
    if not unknown:
        return ""
    near = nearest(unknown[0][:64], known)
    advice = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{advice}known here: {', '.join(known) or 'nothing'}"


def _suggest_choice(model: type[Strict], data: Any, faults: "list[ErrorDetails]") -> str:
    """The nearest of the choices of the first field that is none of them."""
    for fault in faults:
        name = str(fault["loc"][0]) if fault["loc"] else ""
        field = model.model_fields.get(name) if fault["type"] == "literal_error" else None
        choices = get_args(field.annotation) if field is not None else ()
        if choices and isinstance(given := data.get(name), str):
            near = nearest(given[:64], choices)
            advice = f"did you mean {' or '.join(near)}? " if near else ""
            return f"{advice}{name} is one of {', '.join(choices)}"
    return ""


async def _read_body(route: Route, request: web.Request) -> Strict | None:
    if route.body is None:
        return None
    if route.is_body_optional and not (await request.read()).strip():
        return parse(route.body, {}, "body")
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
