"""GET /admin/v1/conservation: starts = ends + unknown, and log = store = the mock's bill."""

from typing import Any

from aiohttp import web

from admin_api.answers import json_response
from admin_api.context import CONTEXT, UsageStore


async def show_conservation(request: web.Request) -> web.Response:
    """Whether every figure agrees, and the lines that show it; 200 either way."""
    return json_response(await answer_conservation(request.app[CONTEXT].usage))


async def answer_conservation(usage: UsageStore) -> dict[str, Any]:
    """The report's figures and its lines; AdminError."""
    report = await usage.check_conservation()
    return {
        "is_exact": report.is_exact,
        "starts": report.starts,
        "ends": report.ends,
        "open_attempts": report.open_attempts,
        "unknown_attempts": report.unknown_attempts,
        "rows": report.rows,
    }
