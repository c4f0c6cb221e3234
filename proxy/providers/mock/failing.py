"""Carries out a fault plan on a live connection; called by chat.py and app.py."""

import asyncio
import socket
import struct

from aiohttp import web

from proxy.providers.mock.faults import FaultPlan, error_of
from proxy.providers.mock.state import Call

MAX_SILENCE_S = 3600.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger on, for zero seconds
_HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1><hr>mock</body></html>\n"


async def fail_before_answer(
    request: web.Request, call: Call, plan: FaultPlan
) -> web.StreamResponse | None:
    """Wait as asked, then fail if the plan fails before anything is produced; such calls are free.

    Raises MockError where the failure is an error answer.
    """
    if plan.latency_ms:
        await asyncio.sleep(plan.latency_ms / 1000)
    if plan.is_reset:
        reset_connection(request)
        return web.Response()
    if plan.silence == "start":
        await stay_silent(request)
        return web.Response()
    if plan.status is not None or plan.retry_after is not None:
        raise error_of(plan)
    if plan.garbage == "html":
        return web.Response(body=_HTML, content_type="text/html", headers=call.headers())
    if plan.garbage == "empty":
        return web.Response(content_type="application/json", headers=call.headers())
    return None


async def stay_silent(request: web.Request) -> None:
    """Hold the connection without a byte until the caller leaves, an hour at most."""
    await asyncio.sleep(MAX_SILENCE_S)
    cut_connection(request)


def reset_connection(request: web.Request) -> None:
    """Drop the connection by a TCP reset; what was not yet sent is lost."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()


def cut_connection(request: web.Request) -> None:
    """Close the connection in the middle of an answer; what was written still goes out."""
    if request.transport is not None:
        request.transport.close()
