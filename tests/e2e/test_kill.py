"""Rows 19 and 21 of the fault table: kill -9 at random points loses and doubles nothing.

The client's own list of complete answers is held against the store; the mock's bill against both.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from ledger.segment_reader import read_segment
from storage.columnar import open_columnar
from tests.gateway import Gateway, wait_until

REQUESTS_PER_S = 120
MOST_OPEN = 600
SHARE_OF_PROXY_KILLS = 0.6

FINALS = """
SELECT request_id, count() AS finals FROM usage_events FINAL
WHERE kind = 'end' AND is_final GROUP BY request_id
"""
DOUBLED = "SELECT count() - uniqExact(event_id) AS doubled FROM usage_events FINAL"


@dataclass(slots=True)
class Load:
    """An open-loop client: a fixed number of calls a second, whatever becomes of them."""

    base_url: str
    api_key: str
    complete: list[str] = field(default_factory=list)
    broken: int = 0
    sent: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        # A kept connection would stay with the proxy that was not killed.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as calls,
        ):
            places = asyncio.Semaphore(MOST_OPEN)
            next_at = asyncio.get_running_loop().time()
            while not stop.is_set():
                await places.acquire()
                calls.create_task(self._call(session, places))
                next_at += 1 / REQUESTS_PER_S
                await asyncio.sleep(max(0.0, next_at - asyncio.get_running_loop().time()))

    async def _call(self, session: aiohttp.ClientSession, places: asyncio.Semaphore) -> None:
        self.sent += 1
        is_streaming = self.sent % 2 == 0
        body = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": f"call {self.sent}"}],
            "stream": is_streaming,
            "temperature": 0,
        }
        mock = {"x-mock-output-tokens": "12", "x-mock-token-ms": "15"}
        try:
            url = f"{self.base_url}/chat/completions"
            async with session.post(url, json=body, headers=mock) as reply:
                text = await reply.read()
                is_whole = text.endswith(b"data: [DONE]\n\n") if is_streaming else True
                if reply.status == 200 and is_whole:
                    self.complete.append(reply.headers["x-apex-request-id"])
                else:
                    self.broken += 1
        except (aiohttp.ClientError, TimeoutError):
            self.broken += 1
        finally:
            places.release()


async def kill_at_random_points(gateway: Gateway, points: int, seed: int) -> int:
    """Kill proxies and the control process in turn; returns how many kills hit a proxy."""
    dice = random.Random(seed)
    proxy_kills = 0
    for _ in range(points):
        await asyncio.sleep(dice.uniform(0.05, 0.35))
        is_proxy = dice.random() < SHARE_OF_PROXY_KILLS
        proxy_kills += is_proxy
        role = dice.choice(PROXIES) if is_proxy else "control"
        known = set(busy_writers(gateway.home, role))
        await gateway.kill_and_wait_for_restart(role)
        if is_proxy:  # killing it again before it serves would prove nothing
            await wait_until(partial(has_other_writers, gateway.home, role, known), 20.0)
    return proxy_kills


def has_other_writers(home: Path, role: str, known: set[str]) -> bool:
    """Say whether a writer of this role has come up that was not known."""
    return not known.issuperset(busy_writers(home, role))


def busy_writers(home: Path, role: str) -> list[str]:
    """List the log writers of a role that have written something."""
    return [path.parent.name for path in (home / "segments").glob(f"{role}-*/*.seg")
            if path.stat().st_size]  # fmt: skip


PROXIES = ("proxy-0", "proxy-1")


def writers_cut_off(home: Path) -> int:
    """Count the log writers that died with an attempt open: between START and END."""
    cut_off = 0
    for writer in (home / "segments").iterdir():
        open_attempts: set[tuple[str, int]] = set()
        for segment in sorted(writer.glob("*.seg")):
            for record in read_segment(segment, 0):
                event = orjson.loads(record.payload)
                name = (event["request_id"], event["attempt"])
                if event["kind"] == "start":
                    open_attempts.add(name)
                else:
                    open_attempts.discard(name)
        cut_off += bool(open_attempts)
    return cut_off


async def stored(home: Path, sql: str) -> list[dict[str, Any]]:
    columnar = open_columnar(f"chdb://{home}/columnar")
    try:
        return await columnar.query(sql, {})
    finally:
        await columnar.close()


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path, workers=2) as running:
        yield running


@pytest.mark.parametrize(
    "points", [50, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
@pytest.mark.timeout(600)
async def test_kill_9_loses_and_doubles_nothing(
    gateway: Gateway, points: int, record_property: Callable[[str, object], None]
) -> None:
    load = Load(gateway.base_url, gateway.api_key)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.run(stop))
        proxy_kills = await kill_at_random_points(gateway, points, seed=points)
        stop.set()
    await gateway.wait_until_ready()
    status, report, errors = await gateway.verb("conservation")
    assert status == 0, report + errors
    assert await gateway.stop() == 0
    finals = {row["request_id"]: row["finals"] for row in await stored(gateway.home, FINALS)}
    assert len(load.complete) > points * 10
    lost = [request_id for request_id in load.complete if request_id not in finals]
    assert lost == []
    assert max(finals.values()) == 1
    [row] = await stored(gateway.home, DOUBLED)
    assert row["doubled"] == 0
    cut_off = writers_cut_off(gateway.home)
    assert cut_off >= points / 3, f"{cut_off} of {proxy_kills} kills hit an open attempt"
    record_property("kills between START and END", cut_off)
    record_property("calls sent / complete / broken", (load.sent, len(load.complete), load.broken))
