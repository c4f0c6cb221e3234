"""A translation on a real socket: official clients in front, an upstream of the other dialect."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson
from aiohttp import web

from proxy.providers.translation import Translator, UntranslatableError

CHUNK_BYTES = 37  # no event of any stream fits, so every one is cut somewhere


class _Bridge:
    def __init__(self, translator: Translator, upstream: str, http: aiohttp.ClientSession) -> None:
        self._translator = translator
        self._upstream = upstream
        self._http = http

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = orjson.loads(await request.read())
        try:
            doc = self._translator.request(asked)
        except UntranslatableError as error:
            fields = {"message": error.message, "param": error.param, "code": None, "type": "x"}
            return web.json_response({"error": fields}, status=400)
        names = [name for name in request.headers if name.lower().startswith("x-mock-")]
        headers = {"Authorization": "Bearer sk-test"} | {n: request.headers[n] for n in names}
        async with self._http.post(self._upstream, json=doc, headers=headers) as reply:
            if reply.status != 200:
                document = self._translator.error(await reply.json())
                return web.json_response(document, status=reply.status)
            if asked.get("stream"):
                return await self._relay(request, reply, asked)
            return web.json_response(self._translator.answer(await reply.json(), asked))

    async def _relay(
        self, request: web.Request, reply: aiohttp.ClientResponse, asked: dict[str, object]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        stream = self._translator.stream(asked)
        async for piece in reply.content.iter_chunked(CHUNK_BYTES):
            await response.write(stream.feed(piece))
        await response.write_eof()
        return response


@asynccontextmanager
async def bridge(translator: Translator, path: str, upstream: str) -> AsyncIterator[str]:
    """Serve `path` by a translation of `upstream`; yields the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        async with aiohttp.ClientSession() as http:
            app = web.Application()
            app.router.add_post(path, _Bridge(translator, upstream, http).answer)
            runner = web.AppRunner(app)
            await runner.setup()
            try:
                await web.SockSite(runner, opened).start()
                yield f"http://127.0.0.1:{opened.getsockname()[1]}/v1"
            finally:
                await runner.cleanup()
