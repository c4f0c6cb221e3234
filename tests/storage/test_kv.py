"""The door to Redis: answers in order, deadlines, the circuit, what a hung or dead server costs."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from config.errors import ConfigError
from config.tasks import TaskOwner
from storage.circuit import FAILURES_TO_OPEN
from storage.kv import MOST_WAITING, Kv, KvUnavailableError, Script, open_kv
from tests.gateway import wait_until
from tests.servers.redis import Redis, RedisCluster

ADD = Script("return {redis.call('INCRBY', KEYS[1], ARGV[1])}")
# Far more than any deadline here: what takes as long has hung.
HUNG_S = 5.0


@pytest.fixture
def lone() -> Iterator[Redis]:
    """A server to stop and kill."""
    with Redis() as server:
        yield server


@pytest.fixture
async def door(lone: Redis) -> AsyncIterator[Kv]:
    tasks = TaskOwner()
    opened = open_kv(lone.url, tasks)
    assert await opened.start()
    yield opened
    await tasks.stop()
    await opened.close()


async def test_answers_come_in_the_order_of_their_questions(kv: Kv) -> None:
    channel = kv.open_channel("test")
    names = [f"{{t{number % 5}}}:{number}" for number in range(600)]
    await asyncio.gather(*(channel.ask("SET", name, name) for name in names))
    found = await asyncio.gather(*(channel.ask("GET", name) for name in names))
    assert found == [name.encode() for name in names]


async def test_a_script_runs_and_runs_again_after_the_server_forgot_it(
    kv: Kv, kv_server: Redis | RedisCluster
) -> None:
    channel = kv.open_channel("test")
    assert await channel.run(ADD, ["{a}n"], [2]) == [2]
    for node in kv_server.nodes:
        node.ask("script", "flush")
    answers = await asyncio.gather(*(channel.run(ADD, [f"{{{n}}}n"], [n]) for n in range(1, 20)))
    assert answers == [[n] for n in range(1, 20)]


async def test_a_refused_command_fails_alone(kv: Kv) -> None:
    channel = kv.open_channel("test")
    await channel.ask("SET", "{a}text", "text")
    asked = [channel.ask("INCRBY", "{a}text", 1), channel.ask("GET", "{a}text")]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found[0], KvUnavailableError)
    assert found[1] == b"text"
    assert not kv.circuit.is_open


async def test_a_hung_server_costs_its_deadline_then_nothing(lone: Redis, door: Kv) -> None:
    channel = door.open_channel("test")
    await channel.ask("SET", "a", "1")
    lone.server.pause()
    failures = 0
    started = time.monotonic()
    while not door.circuit.is_open:
        with pytest.raises(KvUnavailableError):
            await channel.ask("GET", "a")
        failures += 1
        assert time.monotonic() - started < HUNG_S
    assert failures <= FAILURES_TO_OPEN
    with pytest.raises(KvUnavailableError):  # at once: nothing is sent
        channel.ask("GET", "a").send(None)
    lone.server.resume()
    await wait_until(lambda: not door.circuit.is_open)
    assert await channel.ask("GET", "a") == b"1"


async def test_everybody_behind_a_hung_batch_fails_with_it(lone: Redis, door: Kv) -> None:
    channel = door.open_channel("test")
    lone.server.pause()
    asked = [channel.ask("GET", "a") for _ in range(500)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, KvUnavailableError) for each in found)
    assert door.circuit.failures <= 2
    lone.server.resume()


async def test_a_dead_server_is_found_again(lone: Redis, door: Kv) -> None:
    channel = door.open_channel("test")
    returns: list[bool] = []
    door.on_return.append(lambda: returns.append(True))
    lone.server.kill()
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(KvUnavailableError):
            await channel.ask("GET", "a")
    assert door.circuit.is_open
    lone.start()
    await wait_until(lambda: bool(returns))
    assert await channel.ask("GET", "a") is None


async def test_a_server_that_is_away_at_the_start_is_found_later(lone: Redis) -> None:
    lone.server.kill()
    tasks = TaskOwner()
    opened = open_kv(lone.url, tasks)
    assert not await opened.start()
    channel = opened.open_channel("test")
    with pytest.raises(KvUnavailableError):
        await channel.ask("GET", "a")
    lone.start()
    await wait_until(lambda: not opened.circuit.is_open)
    assert await channel.ask("GET", "a") is None
    await tasks.stop()
    await opened.close()


async def test_what_waits_is_bounded(door: Kv) -> None:
    channel = door.open_channel("test")
    asked = [channel.ask("GET", "a") for _ in range(MOST_WAITING + 1)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found[-1], KvUnavailableError)
    assert found[0] is None


async def test_a_stop_leaves_nobody_waiting(lone: Redis) -> None:
    tasks = TaskOwner()
    opened = open_kv(lone.url, tasks)
    await opened.start()
    channel = opened.open_channel("test")
    lone.server.pause()
    found = await asyncio.gather(channel.ask("GET", "a"), tasks.stop(), return_exceptions=True)
    assert isinstance(found[0], KvUnavailableError)
    lone.server.resume()
    await opened.close()


@pytest.mark.parametrize(
    "url", ["redis://host:port", "redis+cluster://a:6379,,b:6379", "redis+cluster://a:x"]
)
def test_a_url_that_names_no_place_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="APEX_KV_URL"):
        open_kv(url, TaskOwner())
