"""GET /admin/v1/requests/{id}: everything known about one request, as soon as it was answered."""

from typing import Any

from aiohttp import web

from admin_api.answers import json_response
from admin_api.context import CONTEXT, UsageStore
from admin_api.errors import AdminError
from admin_api.key_names import ReadKeyNames, name_key
from ledger.usage import request_detail


async def show_request(request: web.Request) -> web.Response:
    """Its attempts, decision, usage and cost; 404 when no log holds it."""
    context = request.app[CONTEXT]
    request_id = request.match_info["id"]
    return json_response(await answer_request(context.usage, context.key_names, request_id))


async def answer_request(
    usage: UsageStore, key_names: ReadKeyNames, request_id: str
) -> dict[str, Any]:
    """Everything about one request; AdminError 404 where none was recorded."""
    fresh = await usage.open_fresh()
    detail = await request_detail(fresh.columnar, request_id)
    if detail is None:
        raise AdminError(
            404,
            "unknown_request",
            f"no request {request_id[:80]!r} was recorded here",
            "the id is the x-apex-request-id header of an answer of this gateway",
        )
    return name_key(detail, await key_names())
