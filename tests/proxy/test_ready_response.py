"""Documents in one write: what the official client and raw sockets see of them."""

import asyncio

import pytest

from proxy.ready_response import LARGEST_READY_BYTES
from tests import fault_replies as replies
from tests.fault_upstream import FaultUpstream
from tests.proxy_gateway import API_KEY, ProxyGateway


async def ask(gateway: ProxyGateway, version: str, *headers: str, times: int = 1) -> bytes:
    """Send the same call `times` times over one connection; the bytes of all answers."""
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'
    lines = [
        f"POST /v1/chat/completions HTTP/{version}",
        "Host: x",
        f"Authorization: Bearer {API_KEY}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    port = int(gateway.base_url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    call = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    writer.write(call * times)
    data = b""
    for _ in range(times):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        data += head + await asyncio.wait_for(reader.readexactly(length), 10)
    writer.close()
    return data


@pytest.mark.parametrize(
    ("version", "headers", "is_closed"),
    [("1.1", (), False), ("1.1", ("Connection: close",), True), ("1.0", (), True)],
)
async def test_each_client_gets_a_whole_answer_and_the_right_connection(
    gateway: ProxyGateway, version: str, headers: tuple[str, ...], is_closed: bool
) -> None:
    data = await ask(gateway, version, *headers)
    head, _, body = data.partition(b"\r\n\r\n")
    fields = head.lower().split(b"\r\n")
    assert fields[0].startswith(b"http/1.")
    assert b" 200 " in fields[0]
    assert b"content-length: %d" % len(body) in fields
    assert any(field.startswith(b"content-type: application/json") for field in fields)
    assert any(field.startswith(b"x-apex-request-id: req_") for field in fields)
    assert (b"connection: close" in fields) == (is_closed and version == "1.1")


async def test_pipelined_calls_are_answered_in_order(gateway: ProxyGateway) -> None:
    data = await ask(gateway, "1.1", times=3)
    assert data.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert data.count(b"Scripted answer.") == 3


async def test_large_answers_take_the_framework_s_own_path(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    text = "x" * (LARGEST_READY_BYTES * 4)
    upstream.script(replies.ok_json(replies.chat_document(text)))
    assert text.encode() in await ask(gateway, "1.1", "Connection: close")
