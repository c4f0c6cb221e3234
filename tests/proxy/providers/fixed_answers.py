"""A server with one answer for everything, so that official clients can judge it over a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

JSON = "application/json"
SSE = "text/event-stream"


@asynccontextmanager
async def serving(body: bytes, content_type: str = SSE, status: int = 200) -> AsyncIterator[str]:
    """Answer every request with these bytes; yields the address."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
