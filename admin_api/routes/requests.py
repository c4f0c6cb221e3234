"""GET /admin/v1/requests/{id}: everything known about one request, as soon as it was answered."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.context import UsageStore
from admin_api.errors import AdminError
from admin_api.key_names import ReadKeyNames, name_key
from admin_api.permissions import Permission
from ledger.usage import request_detail


class RequestQuery(Strict):
    """Whose request it is."""

    tenant: str = Field(default="", max_length=64, description="Only if it is this tenant's.")


class RequestDetail(BaseModel):
    """A request by its attempts; amounts are decimal text, null when unknown."""

    model_config = ConfigDict(extra="allow")

    request_id: str
    tenant: str
    key: str = Field(description="Name of the API key.")
    key_id: str
    attempts: int
    attempts_without_end: int
    is_complete: bool
    cost_usd: str | None
    gross_baseline_usd: str | None
    events: list[dict[str, Any]] = Field(description="START and END of each attempt.")


async def show_request(call: Call) -> Answer:
    """Its attempts, decision, usage and cost; 404 when no log holds it."""
    context, asked = call.context, call.path["id"]
    detail = await answer_request(context.usage, context.key_names, asked, call.tenant)
    return Answer(RequestDetail.model_validate(detail))


async def answer_request(
    usage: UsageStore, key_names: ReadKeyNames, request_id: str, tenant: str | None = None
) -> dict[str, Any]:
    """Everything about one request, of this tenant where one is given; AdminError 404."""
    fresh = await usage.open_fresh()
    detail = await request_detail(fresh.columnar, request_id, tenant)
    if detail is None:
        raise AdminError(
            404,
            "unknown_request",
            f"no request {request_id[:80]!r} was recorded here",
            "the id is the x-apex-request-id header of an answer of this gateway",
        )
    return name_key(detail, await key_names())


ROUTES = (
    Route("GET", "/admin/v1/requests/{id}", show_request, Permission.usage_read,
          "Show one request", query=RequestQuery, answer=RequestDetail),
)  # fmt: skip
