"""What a gateway under load lives through: a worker killed, a stop with 200 streams, a store away.

The clients here keep their connections, so that each of them stays with one proxy process.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from bench.soak.store import Store
from ledger.segment_reader import read_segment
from storage.columnar import open_columnar
from tests.gateway import Gateway, wait_until

pytestmark = pytest.mark.e2e

CONNECTIONS = 24
STREAMS = 200
STREAM_TOKENS, TOKEN_MS = 120, 40
FINALS = """
SELECT request_id, count() AS finals, any(outcome) AS outcome, any(usage_source) AS usage_source,
    any(output_tokens) AS output_tokens
FROM usage_events FINAL WHERE kind = 'end' AND is_final GROUP BY request_id
"""
EVENTS = """
SELECT request_id, attempt, kind FROM usage_events FINAL WHERE startsWith(segment, {writer:String})
"""


@dataclass(slots=True)
class Caller:
    """One connection that calls again and again; what became of every call."""

    session: aiohttp.ClientSession
    whole: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            number = len(self.whole) + len(self.broken)
            try:
                self.whole.append(await self.call(f"call {number}", is_stream=number % 2 == 0))
            except (aiohttp.ClientError, AssertionError) as error:
                self.broken.append(repr(error))

    async def call(self, text: str, *, is_stream: bool, tokens: int = 20, token_ms: int = 5) -> str:
        """The request id of an answer that is whole; AssertionError or ClientError."""
        async with self.session.post(
            "/v1/chat/completions", json=body_of(text, is_stream), headers=pace(tokens, token_ms)
        ) as reply:
            answer = await reply.read()
            assert reply.status == 200, answer
            assert not is_stream or answer.endswith(b"data: [DONE]\n\n"), answer[-200:]
            return reply.headers["x-apex-request-id"]


def body_of(text: str, is_stream: bool) -> dict[str, Any]:
    """Without temperature or seed: nothing here comes from the cache."""
    return {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": text}],
        "stream": is_stream,
    }


def pace(tokens: int, token_ms: int) -> dict[str, str]:
    return {"x-mock-output-tokens": str(tokens), "x-mock-token-ms": str(token_ms)}


@asynccontextmanager
async def callers(gateway: Gateway, count: int = CONNECTIONS) -> AsyncIterator[list[Caller]]:
    """So many callers that call until the end of the block."""
    stop = asyncio.Event()
    found = [Caller(open_session(gateway, 1)) for _ in range(count)]
    try:
        async with asyncio.TaskGroup() as tasks:
            for caller in found:
                tasks.create_task(caller.run(stop))
            try:
                yield found
            finally:
                stop.set()
    finally:
        for caller in found:
            await caller.session.close()


def open_session(gateway: Gateway, connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        gateway.proxy_url,
        headers={"Authorization": f"Bearer {gateway.api_key}"},
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=60),
    )


def all_have(found: Iterable[Caller], count: int) -> bool:
    return all(len(caller.whole) >= count for caller in found)


def logged(home: Path, role: str) -> dict[str, list[dict[str, Any]]]:
    """The events of every writer of a role."""
    return {
        writer.name: [
            orjson.loads(record.payload)
            for segment in sorted(writer.glob("*.seg"))
            for record in read_segment(segment)
        ]
        for writer in (home / "segments").glob(f"{role}-*")
    }


async def ask_store(url: str, sql: str, **parameters: str) -> list[dict[str, Any]]:
    columnar = open_columnar(url)
    try:
        return await columnar.query(sql, parameters)
    finally:
        await columnar.close()


async def test_a_killed_worker_is_shipped_once_and_the_others_keep_serving(tmp_path: Path) -> None:
    """Reliability, row 21, under load: its open calls break, nobody else's do."""
    async with Gateway(tmp_path, workers=2) as gateway:
        async with callers(gateway) as found:
            await wait_until(lambda: all_have(found, 3), 30)
            [(writer, before)] = logged(gateway.home, "proxy-0").items()
            mine = {event["request_id"] for event in before}
            victims = [caller for caller in found if caller.whole[0] in mine]
            others = [caller for caller in found if caller not in victims]
            assert victims
            assert others, "the kernel gave all connections to one proxy"
            await gateway.kill_and_wait_for_restart("proxy-0")
            counts = [len(caller.whole) for caller in found]
            await wait_until(
                lambda: all(
                    len(caller.whole) >= count + 3
                    for caller, count in zip(found, counts, strict=True)
                ),
                30,
                "every connection is served again",
            )
            await wait_until(lambda: len(logged(gateway.home, "proxy-0")) == 2, 30)
        assert [caller.broken for caller in others if caller.broken] == []
        assert max(len(caller.broken) for caller in victims) <= 2, "once is the call that was open"
        await gateway.wait_until_ready()
        status, report, errors = await gateway.verb("conservation")
        assert status == 0, report + errors
        assert await gateway.stop() == 0
    dead = logged(gateway.home, "proxy-0")[writer]
    written = [(each["request_id"], each["attempt"], each["kind"]) for each in dead]
    starts, ends = ({name[:2] for name in written if name[2] == kind} for kind in ("start", "end"))
    assert starts - ends, "it was killed between two calls, which proves little"
    store = f"chdb://{gateway.home}/columnar"
    rows = await ask_store(store, EVENTS, writer=f"{writer}/")
    stored = [(row["request_id"], row["attempt"], row["kind"]) for row in rows]
    assert sorted(stored) == sorted(written)
    await check_finals(store, [one for caller in found for one in caller.whole])


async def check_finals(store: str, request_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Each has exactly one final END; all finals by request id."""
    finals = {row["request_id"]: row for row in await ask_store(store, FINALS)}
    assert len(set(request_ids)) == len(request_ids) > 0
    assert [one for one in request_ids if one not in finals] == []
    assert {row["finals"] for row in finals.values()} == {1}
    return finals


async def test_a_stop_drains_two_hundred_streams(tmp_path: Path) -> None:
    """Reliability, row 18: each comes whole, with its usage recorded."""
    request_ids: list[str] = []
    live: set[int] = set()

    async def read(session: aiohttp.ClientSession, number: int) -> bytes:
        async with session.post(
            "/v1/chat/completions",
            json=body_of(f"stream {number}", is_stream=True),
            headers=pace(STREAM_TOKENS, TOKEN_MS),
        ) as reply:
            assert reply.status == 200
            request_ids.append(reply.headers["x-apex-request-id"])
            text = await reply.content.readany()
            live.add(number)
            return text + await reply.read()

    async with Gateway(tmp_path, workers=2) as gateway:
        async with open_session(gateway, STREAMS) as session, asyncio.TaskGroup() as tasks:
            streams = [tasks.create_task(read(session, number)) for number in range(STREAMS)]
            await wait_until(lambda: len(live) == STREAMS, 60, "all streams have begun")
            assert not any(stream.done() for stream in streams), "some had ended before the stop"
            assert await gateway.stop() == 0
        assert all(stream.result().endswith(b"data: [DONE]\n\n") for stream in streams)
        assert "stopped" in gateway.output.splitlines()
    finals = await check_finals(f"chdb://{gateway.home}/columnar", request_ids)
    assert len(finals) == STREAMS
    assert {(row["outcome"], row["usage_source"], row["output_tokens"])
            for row in finals.values()} == {("ok", "provider", STREAM_TOKENS)}  # fmt: skip


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    running = Store(tmp_path / "store")
    await running.start()
    yield running
    await running.close()


async def test_no_call_fails_and_no_event_is_lost_while_the_store_is_away(
    tmp_path: Path, store: Store
) -> None:
    """Trust row 5, under load, and with the control process killed in the middle of it."""
    environ = {"APEX_COLUMNAR_URL": store.url}
    async with Gateway(tmp_path / "gateway", workers=2, environ=environ) as gateway:
        async with callers(gateway, 8) as found:
            await wait_until(lambda: all_have(found, 5), 30)
            await store.kill()
            await wait_until(lambda: metric_is_above(gateway, "apex_ship_lag_seconds", 0.5), 30)
            status, refusal = await gateway.admin("/admin/v1/usage")
            assert (status, refusal["code"]) == (503, "columnar_store_away")
            await gateway.kill_and_wait_for_restart("control")
            served = len(found[0].whole)
            await wait_until(lambda: all_have(found, served + 10), 30, "served without a store")
            await store.start()
            await gateway.wait_until_ready()
            served = len(found[0].whole)
            await wait_until(lambda: all_have(found, served + 5), 30)
        assert [caller.broken for caller in found if caller.broken] == []
        status, report, errors = await gateway.verb("conservation")
        assert status == 0, report + errors
        assert await gateway.stop() == 0
    await check_finals(store.url, [one for caller in found for one in caller.whole])


async def metric_is_above(gateway: Gateway, name: str, bound: float) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{gateway.proxy_url}/health/metrics") as reply,
    ):
        rows = [line.split() for line in (await reply.text()).splitlines()]
    return any(row[0] == name and float(row[1]) > bound for row in rows if len(row) == 2)
