"""Every KV engine there is, each test on keys of its own; for storage and proxy."""

from collections.abc import AsyncIterator, Iterator

import pytest

from config.tasks import TaskOwner
from storage.kv import Kv, open_kv
from tests.servers.redis import Redis, RedisCluster

# On a busy machine even a healthy server may take longer than the product waits.
PATIENCE_S = 2.0
SERVERS = {"redis": "server", "cluster": "cluster"}


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(params=["redis", "cluster"])
def kv_server(request: pytest.FixtureRequest) -> Redis | RedisCluster:
    """A server and a cluster, each empty."""
    server: Redis | RedisCluster = request.getfixturevalue(f"redis_{SERVERS[request.param]}")
    for node in server.nodes:
        node.ask("flushall")
    return server


@pytest.fixture
async def kv(kv_server: Redis | RedisCluster) -> AsyncIterator[Kv]:
    """An open door to each kind of server."""
    tasks = TaskOwner()
    opened = open_kv(kv_server.url, tasks, PATIENCE_S)
    assert await opened.start()
    yield opened
    await tasks.stop()
    await opened.close()
