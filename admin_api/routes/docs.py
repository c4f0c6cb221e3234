"""/admin/v1/openapi.json, and a page that shows it. Open to all: they say what the sources say.

A browser that opens a page sends no token, which is why these ask for none.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from aiohttp import web

from admin_api.answers import json_response
from admin_api.calls import Route
from admin_api.openapi import describe_api

PAGES = Path(__file__).resolve().parent.parent / "pages"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Documentation:
    """What is said of a set of routes; the document is made once, when it is first asked for."""

    def __init__(self, list_routes: Callable[[], Sequence[Route]]) -> None:
        self._document = cache(lambda: describe_api(list_routes()))

    async def show_openapi(self, _: web.Request) -> web.Response:
        """The OpenAPI document."""
        return json_response(self._document())


async def show_page(_: web.Request) -> web.Response:
    """The page; what it shows it fetches from openapi.json."""
    return _file("docs.html")


async def show_script(_: web.Request) -> web.Response:
    return _file("docs.js")


async def show_style(_: web.Request) -> web.Response:
    return _file("docs.css")


@cache
def _read(name: str) -> bytes:
    return (PAGES / name).read_bytes()


def _file(name: str) -> web.Response:
    return web.Response(
        body=_read(name), content_type=_TYPES[Path(name).suffix], charset="utf-8", headers=_HEADERS
    )
