"""The exact cache of two processes on one Redis or cluster: found, purged, poisoned, away."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.clock import Clock
from config.metrics import Metrics
from config.operator_model import CacheConfig
from config.tasks import TaskOwner
from ledger.price_book import PriceBook, load_price_book
from optimizer.decision import CachePlan
from proxy.answers import StoredAnswer
from proxy.cache import AnswerCache
from proxy.shared_answers import LARGEST_BYTES, SharedAnswers
from storage.kv import open_kv
from storage.memory_cache import ByteBoundedCache
from tests.gateway import wait_until
from tests.kv_engines import PATIENCE_S, kv_server, redis_cluster, redis_server
from tests.proxy.samples import key_record, live_snapshot, request_context, stored
from tests.servers.redis import Redis, RedisCluster

__all__ = ["kv_server", "redis_cluster", "redis_server"]

READS = CachePlan(
    reads=True, writes=True, joins_flights=True, ttl_s=60, scope="user", max_age_s=None,
    reason="eligible",
)  # fmt: skip
Servers = Redis | RedisCluster


@dataclass
class Process:
    """The cache of one process."""

    cache: AnswerCache
    metrics: Metrics

    def counted(self, answer: str) -> int:
        return self.metrics.counter("apex_cache_shared_total").get((answer,), 0)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_price_book()


@pytest.fixture
async def pair(kv_server: Servers, tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    tasks, doors, made, clock = TaskOwner(), [], [], Clock()
    for role in ("one", "two"):
        door, metrics = open_kv(kv_server.url, tasks, PATIENCE_S), Metrics(tmp_path / role, role)
        assert await door.start()
        shared = SharedAnswers(door, tasks, clock, metrics)
        memory = ByteBoundedCache(1 << 20, clock)
        made.append(Process(AnswerCache(memory, clock, metrics, shared), metrics))
        doors.append(door)
    yield made[0], made[1]
    await tasks.stop()
    for door in doors:
        await door.close()


def context(book: PriceBook, **fields: Any) -> Any:
    live = live_snapshot(book, cache=CacheConfig(coalesce_wait_s=5))
    return request_context(live, deadline=Clock().monotonic() + 60, **fields)


async def ask(process: Process, book: PriceBook, **fields: Any) -> StoredAnswer | None:
    """Look for the answer, and leave it to others where there is none."""
    ctx = context(book, **fields)
    answer = await process.cache.find(ctx, READS)
    process.cache.land(ctx, READS, None)
    return answer


async def put(process: Process, book: PriceBook, answer: StoredAnswer, **fields: Any) -> None:
    ctx = context(book, **fields)
    assert await process.cache.find(ctx, READS) is None
    process.cache.land(ctx, READS, answer)


def entries(server: Servers) -> list[tuple[Redis, str]]:
    found = [(n, name) for n in server.nodes for name in n.ask("--scan").split()]
    return [(node, name) for node, name in found if ":answers:" in name]


async def test_what_one_process_kept_another_finds(
    pair: tuple[Process, Process], kv_server: Servers, book: PriceBook
) -> None:
    answer = stored("json", {"choices": [7]}, stored_at=Clock().monotonic())
    await put(pair[0], book, answer)
    await wait_until(lambda: bool(entries(kv_server)))
    found = await ask(pair[1], book)
    assert found is not None
    assert (found.body, found.buckets, found.place) == (answer.body, answer.buckets, answer.place)
    assert pair[1].counted("hit") == 1
    again = await ask(pair[1], book)  # from its own memory now
    assert again is found
    assert pair[1].counted("hit") == 1


async def test_another_tenant_finds_nothing(
    pair: tuple[Process, Process], kv_server: Servers, book: PriceBook
) -> None:
    await put(pair[0], book, stored("json", {"choices": []}, stored_at=0.0))
    await wait_until(lambda: bool(entries(kv_server)))
    key = key_record(tenant="globex")
    assert await ask(pair[1], book, key=key) is None


async def test_foreign_bytes_are_a_miss_and_counted(
    pair: tuple[Process, Process], kv_server: Servers, book: PriceBook
) -> None:
    """Row 4 of B3: garbage, and a good entry under another question's name."""
    await put(pair[0], book, stored("json", {"choices": []}, stored_at=0.0))
    await wait_until(lambda: bool(entries(kv_server)))
    node, name = entries(kv_server)[0]
    node.ask("copy", name, f"{name[:-1]}x")
    other = name.rpartition(":")[2][:-1] + "x"
    assert await ask(pair[1], book, request_key=other) is None
    node.ask("set", name, "garbage")
    assert await ask(pair[1], book) is None
    assert pair[1].counted("foreign") == 2


@pytest.mark.parametrize("tenant", ["acme", None])
async def test_a_purge_reaches_every_process(
    pair: tuple[Process, Process], kv_server: Servers, book: PriceBook, tenant: str | None
) -> None:
    await put(pair[0], book, stored("json", {"choices": []}, stored_at=Clock().monotonic()))
    await wait_until(lambda: bool(entries(kv_server)))
    pair[0].cache.purge(tenant, ["acme"])
    assert await ask(pair[0], book) is None  # at once where it was asked for

    async def is_gone() -> bool:
        pair[1].cache.forget()  # as the census has every process do
        return await ask(pair[1], book) is None

    await wait_until(is_gone)
    assert pair[1].counted("purged") == 1
    await put(pair[0], book, stored("json", {"choices": [2]}, stored_at=Clock().monotonic()))

    async def is_back() -> bool:
        return await ask(pair[1], book) is not None

    await wait_until(is_back)


async def test_what_is_too_long_for_the_deadline_stays_here(
    pair: tuple[Process, Process], kv_server: Servers, book: PriceBook
) -> None:
    large = stored("json", {"text": "x" * LARGEST_BYTES}, stored_at=Clock().monotonic())
    await put(pair[0], book, large)
    small = stored("json", {"choices": []}, stored_at=Clock().monotonic())
    await put(pair[0], book, small, request_key="another")
    await wait_until(lambda: bool(entries(kv_server)))
    assert [name.rpartition(":")[2] for _, name in entries(kv_server)] == ["another"]
    assert await ask(pair[0], book) is large


async def test_a_server_that_is_away_is_a_miss_and_the_purge_is_not_forgotten(
    tmp_path: Path, book: PriceBook
) -> None:
    with Redis() as server:
        tasks, clock, metrics = TaskOwner(), Clock(), Metrics(tmp_path, "one")
        door = open_kv(server.url, tasks)
        assert await door.start()
        shared = SharedAnswers(door, tasks, clock, metrics)
        memory = ByteBoundedCache(1 << 20, clock)
        process = Process(AnswerCache(memory, clock, metrics, shared), metrics)
        await put(process, book, stored("json", {"choices": []}, stored_at=clock.monotonic()))
        await wait_until(lambda: bool(entries(server)))
        server.server.pause()
        process.cache.purge("acme")
        assert await ask(process, book) is None
        server.server.resume()
        await wait_until(lambda: server.ask("get", "apex:{acme}:purged") != "")
        assert await ask(process, book) is None
        await tasks.stop()
        await door.close()
