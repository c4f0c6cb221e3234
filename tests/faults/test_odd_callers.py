"""Callers with rare but proper HTTP: pipelining, Expect, HEAD, HTTP/1.0, large uploads."""

import asyncio
import re
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest

from config.operator import Limits
from tests import fault_replies as replies
from tests.fault_replies import ANSWER
from tests.fault_upstream import FaultUpstream
from tests.faults.row import PATIENT
from tests.faults.sockets import RawCaller, request_of
from tests.proxy.calls import CACHED, HELLO, lone
from tests.proxy_gateway import API_KEY, ProxyGateway, local_upstream

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECTING = "Expect: 100-continue"
UPLOAD_BYTES = 100 << 20
PIECE = b"x" * (1 << 16)
MOST_ALLOCATED_BYTES = 16_777_216


def cut(request: bytes) -> tuple[bytes, bytes]:
    head, mark, body = request.partition(b"\r\n\r\n")
    return head + mark, body


async def test_pipelined_calls_are_answered_in_order(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    """The first waits longest for its upstream; a hit and a refusal wait behind it."""
    upstream.script(replies.ok_json(replies.chat_document("one")), replies.ok_json())
    caller = await RawCaller.to(gateway)
    unknown = CACHED | {"model": "nobody"}
    caller.send(request_of(HELLO) + request_of(CACHED) + request_of(CACHED) + request_of(unknown))
    answers = [await caller.answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 404]
    assert b'"one"' in answers[0].body
    assert answers[1].body == answers[2].body
    assert len(upstream.calls) == 2
    caller.leave()


async def test_a_body_is_asked_for_when_it_is_wanted(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    head, body = cut(request_of(HELLO, EXPECTING))
    caller = await RawCaller.to(gateway)
    caller.send(head)
    assert await caller.reader.readexactly(len(CONTINUE)) == CONTINUE
    assert upstream.calls == []
    caller.send(body)
    assert (await caller.answer()).status == 200
    caller.send(head + body)  # it did not wait: there is nothing to ask for
    assert (await caller.answer()).status == 200
    caller.leave()


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (API_KEY.encode(), b"nobody's", 401),
        (b"Content-Length: ", b"Content-Length: 9999999", 413),
        (b"/v1/chat", b"/nowhere/chat", 404),
    ],
)
async def test_a_body_nobody_wants_is_not_asked_for(
    gateway: ProxyGateway, upstream: FaultUpstream, old: bytes, new: bytes, status: int
) -> None:
    """And the connection says that it ends: the caller may or may not send the body now."""
    head, _ = cut(request_of(HELLO, EXPECTING))
    caller = await RawCaller.to(gateway)
    caller.send(head.replace(old, new))
    answer = await caller.answer()
    assert answer.status == status
    assert answer.code
    assert b"connection: close" in answer.head.lower()
    caller.leave()
    assert upstream.calls == []


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/models", 200), ("/health", 200), ("/v1/chat/completions", 405)]
)
async def test_head_has_the_head_of_get_and_no_body(
    gateway: ProxyGateway, path: str, status: int
) -> None:
    caller = await RawCaller.to(gateway)
    lines = f" {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {API_KEY}\r\n\r\n"
    caller.send(f"HEAD{lines}HEAD{lines}".encode())
    first = await caller.answer(has_body=False)
    second = await caller.answer(has_body=False)  # a body would stand in its place
    assert (first.status, second.status) == (status, status)
    assert int(re.findall(rb"Content-Length: (\d+)", first.head)[0]) > 0
    caller.leave()


@pytest.mark.parametrize("is_streaming", [False, True], ids=["document", "stream"])
async def test_http_1_0_is_answered_to_the_connections_end(
    gateway: ProxyGateway, upstream: FaultUpstream, is_streaming: bool
) -> None:
    """It knows no chunks: a stream ends with its connection."""
    upstream.fallback = replies.ok_stream() if is_streaming else replies.ok_json()
    caller = await RawCaller.to(gateway)
    request = request_of(CACHED | {"stream": is_streaming})
    caller.send(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
    whole = await caller.rest()
    head, _, body = whole.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert b"transfer-encoding" not in head.lower()
    assert body.endswith(b"data: [DONE]\n\n" if is_streaming else b"}")
    assert len(upstream.calls) == 1
    assert [end["outcome"] for end in gateway.ends()] == ["ok"]


async def test_an_upgrade_that_is_not_taken_ends_the_connection(
    gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    """What is pipelined behind it is not served, and the answer says so."""
    caller = await RawCaller.to(gateway)
    upgrading = request_of(HELLO, "Connection: Upgrade", "Upgrade: h2c")
    caller.send(upgrading + request_of(HELLO | {"seed": 1}))
    answer = await caller.answer()
    assert answer.status == 200
    assert b"connection: close" in answer.head.lower()
    assert await caller.rest() == b""
    assert len(upstream.calls) == 1


@asynccontextmanager
async def sink() -> AsyncIterator[tuple[str, list[int]]]:
    """An upstream that counts a form's bytes and keeps none; yields its URL and the counts."""
    counts: list[int] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        counts.append(0)
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):  # the last chunk
            piece = await reader.read(1 << 16)
            if not piece:
                return
            counts[-1] += len(piece)
            tail = (tail + piece)[-16:]
        body = b'{"id":"file-1","object":"file","bytes":1,"filename":"x","purpose":"batch"}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )

    server = await asyncio.start_server(take, "127.0.0.1", 0, limit=1 << 17)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", counts


async def test_an_upload_of_100_mb_streams_through(tmp_path: Path) -> None:
    async with sink() as (url, counts):
        upstreams = {"first": local_upstream("first", url)}
        async with ProxyGateway(tmp_path, upstreams, timeouts=PATIENT) as gateway:
            caller = await RawCaller.to(gateway)
            opening = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
            closing = b"\r\n--b--\r\n"
            head, _ = cut(request_of({}, "Content-Type: multipart/form-data; boundary=b"))
            length = len(opening) + UPLOAD_BYTES + len(closing)
            head = head.replace(b"chat/completions", b"files")
            tracemalloc.start()
            caller.send(re.sub(rb"Length: \d+", b"Length: %d" % length, head), opening)
            for _ in range(UPLOAD_BYTES // len(PIECE)):
                caller.send(PIECE)
                await caller.writer.drain()
            caller.send(closing)
            answer = await caller.answer()
            peak_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            caller.leave()
            assert (answer.status, len(counts)) == (200, 1)
            assert counts[0] >= length
            assert peak_bytes < MOST_ALLOCATED_BYTES, "all of it would be six times as much"
            [end] = gateway.ends()
            assert (end["outcome"], end["usage_source"]) == ("ok", "none")


async def test_a_prompt_over_the_cap_is_refused_unread(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with lone(
        tmp_path, upstream, timeouts=PATIENT, limits=Limits(max_body_bytes=65_536)
    ) as gateway:
        caller = await RawCaller.to(gateway)
        head, _ = cut(request_of(HELLO))
        caller.send(re.sub(rb"Length: \d+", b"Length: %d" % UPLOAD_BYTES, head))
        answer = await caller.answer()
        assert (answer.status, answer.code) == (413, "request_too_large")
        caller.leave()
        assert upstream.calls == []


async def test_the_served_model_is_told(
    client: openai.AsyncOpenAI, upstream: FaultUpstream
) -> None:
    served = "gpt-4o-mini-2024-07-18"
    upstream.script(replies.ok_json(replies.chat_document(model=served)))
    raw = await client.chat.completions.with_raw_response.create(**HELLO)
    assert raw.headers["x-apex-model"] == served
    answer = raw.parse()
    assert (answer.model, answer.choices[0].message.content) == (served, ANSWER)
    upstream.script(
        replies.ok_stream([replies.chunk({"content": "x"}, "stop", model=served), "[DONE]"])
    )
    stream = await client.chat.completions.create(stream=True, **HELLO)
    assert {chunk.model async for chunk in stream} == {served}
    assert stream.response.headers["x-apex-model"] == served
