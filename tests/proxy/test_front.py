"""Plain calls before aiohttp: any chunking, sending ahead, and what is handed over unharmed."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from proxy.front import MOST_PIPELINED_BYTES, Front
from tests import fault_replies as replies
from tests.fault_upstream import FaultUpstream
from tests.gateway import wait_until
from tests.proxy.calls import CACHED, HELLO, post, treated_user
from tests.proxy_gateway import API_KEY, ProxyGateway


def request_of(document: dict[str, Any], *lines: str, path: str = "/v1/chat/completions") -> bytes:
    body = orjson.dumps(document)
    head = [
        f"POST {path} HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {API_KEY}",
        "Content-Type: application/json",
        *lines,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Wire:
    """A connection to the gateway, in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, gateway: ProxyGateway) -> "Wire":
        return cls(*await asyncio.open_connection("127.0.0.1", gateway.port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Read one answer of known length: (status, headers in lower case, document)."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, orjson.loads(body)

    def close(self) -> None:
        self.writer.close()


@pytest.fixture
async def wire(gateway: ProxyGateway) -> Any:
    opened = await Wire.open(gateway)
    yield opened
    opened.close()


async def test_a_call_cut_anywhere_is_the_same_call(
    wire: Wire, gateway: ProxyGateway, upstream: FaultUpstream
) -> None:
    whole = request_of(HELLO)
    for place in range(1, len(whole), 7):
        if wire.writer.is_closing():
            wire = await Wire.open(gateway)
        await wire.send(whole[:place])
        await asyncio.sleep(0)
        await wire.send(whole[place:])
        status, _, document = await wire.answer()
        assert (status, document["object"]) == (200, "chat.completion")
    assert len(upstream.calls) == len(range(1, len(whole), 7))


async def test_calls_sent_ahead_are_answered_in_turn(wire: Wire, upstream: FaultUpstream) -> None:
    count = MOST_PIPELINED_BYTES // 1024 * 2
    text = "x" * 1024
    bodies = [
        HELLO | {"messages": [{"role": "user", "content": f"{n} {text}"}]} for n in range(count)
    ]
    ids: list[str] = []

    async def read_all() -> None:
        ids.extend([(await wire.answer())[1]["x-apex-request-id"] for _ in range(count)])

    await asyncio.gather(read_all(), wire.send(b"".join(map(request_of, bodies))))
    assert len(set(ids)) == count
    asked = [orjson.loads(call.body)["messages"][0]["content"] for call in upstream.calls]
    assert [text.split()[0] for text in asked] == [str(n) for n in range(count)]


async def test_who_sends_ahead_and_does_not_read_is_held_back(
    gateway: ProxyGateway, wire: Wire, upstream: FaultUpstream
) -> None:
    """Stored answers take no task and no time: only the caller's own reading bounds them."""
    upstream.fallback = replies.ok_json(replies.chat_document("x" * 30_000))
    whole = request_of(CACHED | {"user": treated_user(gateway)})
    for _ in range(2):
        await wire.send(whole)
        await wire.answer()
    count = 2000
    for _ in range(count):
        await wire.send(whole)
    seen = [-1, 0]
    while seen[-1] != seen[-2]:  # until the gateway has stopped answering
        await asyncio.sleep(0.3)
        seen.append(len(gateway.ends()))
    assert seen[-1] < count / 2, "60 MB of answers would wait in the gateway's memory"
    for _ in range(count):
        assert (await wire.answer())[1]["x-apex-cache"] == "hit"


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        (("Expect: 100-continue",), "/v1/chat/completions"),
        (("Connection: close",), "/v1/chat/completions"),
        ((), "/v1/chat/completions?x=1"),
        ((), "/openai/deployments/gpt-4o-mini/chat/completions"),
    ],
)
async def test_what_is_not_plain_is_handed_over_after_plain_calls(
    wire: Wire, lines: tuple[str, ...], path: str
) -> None:
    await wire.send(request_of(HELLO))
    assert (await wire.answer())[0] == 200
    await wire.send(request_of(HELLO, *lines, path=path))
    assert (await wire.answer())[0] == 200


async def test_a_body_longer_than_is_taken_in_blindly_passes(
    wire: Wire, upstream: FaultUpstream
) -> None:
    long = HELLO | {"messages": [{"role": "user", "content": "y" * 100_000}]}
    await wire.send(request_of(long))
    assert (await wire.answer())[0] == 200
    assert orjson.loads(upstream.calls[0].body) == long


async def test_a_call_whose_rest_is_slow_is_handed_over_and_answered(
    gateway: ProxyGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[bytes] = []
    hand_over = Front.hand_over

    def note(front: Front, data: bytes) -> None:
        handed.append(data)
        hand_over(front, data)

    monkeypatch.setattr(Front, "hand_over", note)
    wire = await Wire.open(gateway)
    whole = request_of(HELLO)
    await wire.send(whole[:-5])
    await wait_until(lambda: bool(handed), timeout_s=10)  # the sweep's second
    assert handed == [whole[:-5]]
    await wire.send(whole[-5:])
    assert (await wire.answer())[0] == 200
    wire.close()


async def test_a_stored_answer_needs_no_task_and_is_recorded_like_any(
    gateway: ProxyGateway, wire: Wire, upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = request_of(CACHED | {"user": treated_user(gateway)})
    answers = []
    for _ in range(2):  # the second hit by its key makes the bytes known
        await wire.send(whole)
        answers.append(await wire.answer())
    monkeypatch.delattr(Front, "_answer")
    for _ in range(3):
        await wire.send(whole)
        answers.append(await wire.answer())
    assert [headers["x-apex-cache"] for _, headers, _ in answers] == ["miss", *["hit"] * 4]
    assert len({headers["x-apex-request-id"] for _, headers, _ in answers}) == 5
    assert len({orjson.dumps(document) for _, _, document in answers}) == 1
    assert {headers.get("x-apex-cost-usd") for _, headers, _ in answers[1:]} == {"0"}
    assert len(upstream.calls) == 1
    ends = gateway.ends()
    assert [end["cache"] for end in ends] == ["miss", *["hit"] * 4]
    assert len({end["request_key"] for end in gateway.events() if end["kind"] == "start"}) == 1


async def test_bytes_known_from_one_caller_are_not_known_from_another(
    gateway: ProxyGateway, session: aiohttp.ClientSession, upstream: FaultUpstream
) -> None:
    body = CACHED | {"user": treated_user(gateway)}
    for _ in range(3):
        _, headers, _ = await post(session, gateway, body)
    assert headers["x-apex-cache"] == "hit"
    _, headers, _ = await post(session, gateway, body, x_apex_no_optimize="1")
    assert headers["x-apex-cache"] == "bypass"
    _, headers, _ = await post(session, gateway, body, Cache_Control="no-cache")
    assert headers["x-apex-cache"] == "bypass"
    status, _, _ = await post(session, gateway, body, Authorization="Bearer no")
    assert status == 401
    assert len(upstream.calls) == 3


async def test_a_caller_that_leaves_during_its_call_is_recorded(
    gateway: ProxyGateway, wire: Wire, upstream: FaultUpstream
) -> None:
    upstream.script(replies.silence())
    await wire.send(request_of(HELLO))
    await wait_until(lambda: len(upstream.calls) == 1)
    wire.close()
    await wait_until(lambda: bool(gateway.ends()))
    assert [end["outcome"] for end in gateway.ends()] == ["client_closed"]
