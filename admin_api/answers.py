"""How the admin API writes what it answers; used by every route."""

from typing import Any

import orjson
from aiohttp import web


def json_response(document: Any, status: int = 200) -> web.Response:
    """A JSON document; never kept by a cache on the way, as it is somebody's usage."""
    return web.Response(
        status=status,
        body=orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
