"""The aiohttp handler of a route: checks the call, runs it, writes the answer. Used by app.py."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import cast

import orjson
from aiohttp import web
from multidict import CIMultiDict

from admin_api.calls import Answer, Call, Route, read_call
from admin_api.idempotency import answer_once, read_idempotency_key

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


def build_handler(route: Route) -> Serve:
    """The handler of a route; a POST that names an Idempotency-Key runs once."""

    async def serve(request: web.Request) -> web.StreamResponse:
        call = await read_call(route, request)
        key = read_idempotency_key(request) if route.method == "POST" else None
        if key is None:
            return await _run(route, call, request)

        async def run() -> web.Response:
            return write_answer(await route.handler(call))

        return await answer_once(call, key, request, run)

    return serve


async def _run(route: Route, call: Call, request: web.Request) -> web.StreamResponse:
    answer = await route.handler(call)
    if answer.lines is None:
        return write_answer(answer)
    return await _stream(request, route.media_type, answer.headers, answer.lines)


def write_answer(answer: Answer) -> web.Response:
    """The response; never kept by a cache on the way, as it is somebody's."""
    headers = CIMultiDict({"Cache-Control": "no-store", **answer.headers})
    if answer.version is not None:
        headers["ETag"] = f'"{answer.version}"'
    if answer.document is None:
        return web.Response(status=answer.status, headers=headers)
    document = cast("object", answer.document.model_dump(mode="json", by_alias=True))
    return web.Response(
        status=answer.status,
        body=orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE),
        content_type="application/json",
        headers=headers,
    )


async def _stream(
    request: web.Request, media_type: str, headers: Mapping[str, str], lines: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send lines as they come; a failure in the middle cuts the connection: it is not whole."""
    response = web.StreamResponse(headers={"Cache-Control": "no-store", **headers})
    response.content_type = media_type
    await response.prepare(request)
    try:
        async for line in lines:
            await response.write(line)
        await response.write_eof()
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:  # noqa: BLE001  the answer has begun: no problem document can follow
        _log.exception("%s %s broke off", request.method, request.path)
        if request.transport is not None:
            request.transport.abort()
    return response
