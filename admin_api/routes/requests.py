"""GET /admin/v1/requests/{id}: everything known about one request, as soon as it was answered."""

from aiohttp import web

from admin_api.answers import json_response
from admin_api.context import CONTEXT
from admin_api.errors import AdminError
from ledger.usage import request_detail


async def show_request(request: web.Request) -> web.Response:
    """Its attempts, decision, usage and cost; 404 when no log holds it."""
    request_id = request.match_info["id"]
    fresh = await request.app[CONTEXT].usage.open_fresh()
    detail = await request_detail(fresh.columnar, request_id)
    if detail is None:
        raise AdminError(
            404,
            "unknown_request",
            f"no request {request_id[:80]!r} was recorded here",
            "the id is the x-apex-request-id header of an answer of this gateway",
        )
    return json_response(detail)
