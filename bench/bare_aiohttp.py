"""The yardstick: what people write first. An aiohttp pass-through with no work of its own.

Started by bench/gateways; uvloop, access log off, otherwise aiohttp's defaults.
"""

import argparse

import uvloop
from aiohttp import ClientSession, web

HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding", "accept-encoding"}
SESSION: web.AppKey[ClientSession] = web.AppKey("session", ClientSession)
UPSTREAM: web.AppKey[str] = web.AppKey("upstream", str)


async def relay(request: web.Request) -> web.StreamResponse:
    """Pass one call on and its answer back."""
    headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
    headers["Authorization"] = "Bearer sk-upstream"
    body = await request.read()
    url = request.app[UPSTREAM] + request.path
    async with request.app[SESSION].post(url, data=body, headers=headers) as answer:
        kind = answer.headers.get("Content-Type", "")
        if not kind.startswith("text/event-stream"):
            return web.Response(
                body=await answer.read(), status=answer.status, content_type="application/json"
            )
        reply = web.StreamResponse(headers={"Content-Type": kind})
        await reply.prepare(request)
        async for chunk in answer.content.iter_any():
            await reply.write(chunk)
        await reply.write_eof()
        return reply


async def build(upstream: str) -> web.Application:
    """Assemble the application."""
    app = web.Application(client_max_size=32 << 20)
    app[UPSTREAM] = upstream
    app[SESSION] = ClientSession()
    app.router.add_post("/v1/chat/completions", relay)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    uvloop.install()
    web.run_app(
        build(arguments.upstream), host="127.0.0.1", port=arguments.port, access_log=None,
        print=None, loop=uvloop.new_event_loop(),
    )  # fmt: skip
