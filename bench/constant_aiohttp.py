"""The yardstick of cache hits: aiohttp reads the request and answers a constant, and no more.

Started by bench/gateways; uvloop, access log off, otherwise aiohttp's defaults.
"""

import argparse

import uvloop
from aiohttp import ClientSession, web

ANSWER: web.AppKey[bytes] = web.AppKey("answer", bytes)


async def answer(request: web.Request) -> web.Response:
    """What a cache would send, without looking anything up."""
    await request.read()
    return web.Response(body=request.app[ANSWER], content_type="application/json")


async def build(upstream: str) -> web.Application:
    """Fetch the constant from the upstream once, then serve it."""
    app = web.Application(client_max_size=32 << 20)
    async with ClientSession() as session, session.post(upstream, data=b"{}") as reply:
        app[ANSWER] = await reply.read()
    app.router.add_post("/v1/chat/completions", answer)
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
