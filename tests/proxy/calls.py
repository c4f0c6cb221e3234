"""The calls that the data plane's tests make, and what they ask of the answers."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import openai
import orjson

from config.clock import Clock
from config.operator import Timeouts
from config.secrets import load_key_ring
from proxy.snapshot_holder import SnapshotHolder
from tests.fault_replies import Reply
from tests.fault_upstream import FaultUpstream
from tests.proxy_gateway import API_KEY, ProxyGateway, local_upstream

QUICK = Timeouts(connect_s=1, first_token_s=0.5, idle_s=0.5, total_s=3, stream_headers_s=0.2)
HELLO: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "hello"}],
}
CACHED = HELLO | {"temperature": 0}
AUTH = {"Authorization": f"Bearer {API_KEY}"}


async def stream_text(client: openai.AsyncOpenAI, **body: Any) -> str:
    """Stream a completion and return its text."""
    text = ""
    async for chunk in await client.chat.completions.create(stream=True, **body):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
    return text


def treated_user(gateway: ProxyGateway) -> str:
    """Find a user whose session is not in the holdout, so that a cache test means the cache."""
    clock = Clock()
    live = SnapshotHolder(gateway.home, load_key_ring(gateway.settings), clock).live
    epoch = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m")
    names = (f"user-{number}" for number in range(1000))
    return next(name for name in names if live.draw(epoch, "acme", name).holdout > 0.05)


def delayed(reply: Reply, delay_s: float) -> Reply:
    """Return the same reply, later."""
    values = {field.name: getattr(reply, field.name) for field in fields(reply)}
    return Reply(**values | {"delay_s": delay_s})


def lone(directory: Path, upstream: FaultUpstream, **options: Any) -> ProxyGateway:
    """Make a gateway with one upstream, for tests that need limits or timeouts of their own."""
    upstreams = {"first": local_upstream("first", upstream.url)}
    return ProxyGateway(directory, upstreams, **{"timeouts": QUICK, **options})


async def post(
    session: aiohttp.ClientSession,
    gateway: ProxyGateway,
    body: dict[str, Any],
    **headers: str,
) -> tuple[int, Mapping[str, str], bytes]:
    """Make a chat call; returns status, headers and body. `headers` with underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{gateway.base_url}/chat/completions"
    async with session.post(url, json=body, headers=AUTH | named) as reply:
        return reply.status, reply.headers, await reply.read()


async def get(
    session: aiohttp.ClientSession, gateway: ProxyGateway, path: str, **options: Any
) -> tuple[int, Mapping[str, str], bytes]:
    """Ask for a path below the gateway's root; returns status, headers and body."""
    root = gateway.base_url.removesuffix("/v1")
    method = options.pop("method", "GET")
    async with session.request(method, f"{root}{path}", **options) as reply:
        return reply.status, reply.headers, await reply.read()


async def open_call(
    gateway: ProxyGateway, body: dict[str, Any], *, receive_buffer_bytes: int = 0
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a chat call over a socket of its own, without reading anything of the answer."""
    connection = socket.socket()
    if receive_buffer_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", gateway.port))
    # A small limit: the reader stops taking bytes off the socket once it holds twice as much.
    reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
    data = orjson.dumps(body)
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {API_KEY}",
        "Connection: close",
        f"Content-Length: {len(data)}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + data)
    return reader, writer
