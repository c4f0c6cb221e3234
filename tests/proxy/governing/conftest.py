"""Every engine that counts, and two processes' counters of each where they can be shared."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.clock import Clock
from config.metrics import Metrics
from config.tasks import TaskOwner
from proxy.governing.counters import Counters
from proxy.governing.local_counters import LocalCounters
from proxy.governing.shared_counters import SharedCounters
from storage.kv import open_kv
from tests.kv_engines import PATIENCE_S, kv, kv_server, redis_cluster, redis_server
from tests.servers.redis import Redis, RedisCluster

__all__ = ["kv", "kv_server", "redis_cluster", "redis_server"]


@pytest.fixture(params=["memory", "redis", "cluster"])
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Counters, Counters]]:
    """The counters of two processes; in memory two names of the one there is."""
    clock = Clock()
    if request.param == "memory":
        alone = LocalCounters(clock, lambda: 1)
        yield alone, alone
        return
    name = "redis_cluster" if request.param == "cluster" else "redis_server"
    server: Redis | RedisCluster = request.getfixturevalue(name)
    for node in server.nodes:
        node.ask("flushall")
    tasks, doors, made = TaskOwner(), [], []
    for role in ("one", "two"):
        door = open_kv(server.url, tasks, PATIENCE_S)
        made.append(SharedCounters(door, tasks, clock, Metrics(tmp_path / role, role), lambda: 2))
        assert await door.start()
        doors.append(door)
    yield made[0], made[1]
    await tasks.stop()
    for door in doors:
        await door.close()
